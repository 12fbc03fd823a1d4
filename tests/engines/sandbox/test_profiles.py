"""Profiles: what a program can import, and what happens where it is not installed."""

from dataclasses import replace

import pytest

from gristmill.engines.sandbox import Program, Sandbox, profiles
from gristmill.engines.sandbox.profiles import BARE, find_profile
from gristmill.errors import InputError, RequirementError
from gristmill.verifiers.math_answer import ALGEBRA

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
HAS_SYMPY = not find_profile("sympy").missing
HAS_SCIPY = not find_profile("solver").missing
needs_sympy = pytest.mark.skipif(not HAS_SYMPY, reason="SymPy or Math-Verify is not installed")
needs_scipy = pytest.mark.skipif(not HAS_SCIPY, reason="NumPy or SciPy is not installed")


def test_a_profile_names_its_packages_with_their_versions() -> None:
    found = find_profile("sympy")
    assert (find_profile("bare"), BARE.identity) == (BARE, "bare")
    assert found.identity.startswith("sympy(")
    if HAS_SYMPY:
        assert any(name.startswith("sympy 1.") for name in found.packages), found.packages
        assert {inside for _, inside in found.binds} >= {"/packages/sympy", "/packages/mpmath"}


def test_there_is_no_other_profile(sandbox: Sandbox) -> None:
    with pytest.raises(InputError, match=r"no profile 'simpy' .* did you mean .*sympy"):
        sandbox.run_all([Program("", profile="simpy")])


SOLVES = """
import numpy as np
from scipy.optimize import milp, LinearConstraint
def f():
    found = milp([-3, -2], integrality=[1, 1], constraints=LinearConstraint([[1, 1]], ub=[4.5]))
    return [int(x) for x in np.round(found.x)]
"""
SUMS = """
import threading
import numpy as np
def f(n):
    return float(np.linalg.solve(np.eye(n) * 2, np.ones(n)).sum())
def g():
    lines = open("/proc/self/status")
    return threading.active_count(), [line for line in lines if "Threads" in line]
"""


@needs_scipy
def test_numpy_and_the_solver_are_there_on_one_thread(sandbox: Sandbox) -> None:
    solved, summed, threads, without = sandbox.run_all(
        [
            Program(SOLVES, "assert f() == [4, 0]", profile="solver", timeout_s=60),
            Program(SUMS, "assert f(300) == 150.0", profile="numpy", timeout_s=60),
            Program(SUMS, calls=("g()",), profile="numpy", timeout_s=60),
            Program(SOLVES, "assert f() == [4, 0]", profile="numpy", timeout_s=60),
        ]
    )
    assert (solved.status, solved.verified_by) == ("pass", "values"), solved
    assert (summed.status, summed.verified_by) == ("pass", "values"), summed
    assert threads.values == [["t", ["i", "0x1"], ["l", ["s", "Threads:\t1\n"]]]], threads
    assert (without.status, without.detail) == ("missing_dependency", "scipy")


@needs_scipy
def test_a_part_that_a_package_never_had_is_the_program_s_error(sandbox: Sandbox) -> None:
    own, other, odd, cells = sandbox.run_all(
        [
            Program("import numpy.matrix_tools", stdout="1", profile="numpy", timeout_s=60),
            Program("import numpy, torch.nn", stdout="1", profile="numpy", timeout_s=60),
            Program("import os.paths", stdout="1"),
            Program("", cells=("import numpy.nope", "import torch"), profile="numpy"),
        ]
    )
    assert (own.status, other.status, odd.status) == ("error", "missing_dependency", "error")
    assert [cell["status"] for cell in cells.cells] == ["error", "missing_dependency"]
    assert "No module named 'numpy.matrix_tools'" in own.detail
    assert other.detail == "torch"


def test_the_profile_is_part_of_the_key() -> None:
    names = ("bare", "numpy", "solver", "sympy", "mine")
    keys = {Program("x", profile=name).key("e") for name in names}
    assert len(keys) == len(names)


@needs_sympy
def test_a_package_can_be_imported_with_its_profile_and_not_without(sandbox: Sandbox) -> None:
    code = "import sympy\ndef f(x):\n    return str(sympy.sqrt(x))"
    test = "assert f(8) == '2*sqrt(2)'"
    without, given = sandbox.run_all(
        [Program(code, test, profile=name, timeout_s=30) for name in ("bare", "sympy")]
    )
    assert (without.status, without.detail) == ("missing_dependency", "sympy")
    assert (given.status, given.verified_by) == ("pass", "values"), given
    assert "sympy(" in given.profile
    assert "sympy" not in without.profile


@needs_sympy
def test_packages_are_read_only_and_nothing_else_comes_with_them(sandbox: Sandbox) -> None:
    code = """
import os, sympy
folder = os.path.dirname(sympy.__file__)
def f():
    try:
        open(os.path.join(folder, "x.py"), "w")
    except OSError:
        return sorted(os.listdir(os.path.dirname(folder)))
"""
    (verdict,) = sandbox.run_all([Program(code, calls=("f()",), profile="sympy", timeout_s=30)])
    names = [value[1] for value in verdict.values[0][1:]]
    assert {n for n in names if "dist-info" not in n} == set(profiles.MODULES["sympy"])


@needs_sympy
@pytest.mark.parametrize(
    ("gold", "answer", "same"),
    [
        (r"\sqrt{8}", r"2\sqrt{2}", ["b", 1]),
        (r"(x+1)^2", "x^2+2x+1", ["b", 1]),
        ("x^2-1", "x^2+1", ["b", 0]),
        ("y=2x+1", "2x-y+1=0", ["b", 1]),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&2\\3&5\end{pmatrix}",
         ["b", 0]),
        (r"\sin^2 x+\cos^2 x", "1", ["b", 1]),
        (r"(-\infty,1)\cup(2,3]", r"(-\infty,1]\cup(2,3]", ["b", 0]),
    ],
)  # fmt: skip
def test_algebra_is_compared_inside(sandbox: Sandbox, gold, answer, same) -> None:
    call = f"same({gold!r}, {answer!r})"
    (verdict,) = sandbox.run_all([Program(ALGEBRA, calls=(call,), profile="sympy", timeout_s=30)])
    assert verdict.values == [same], verdict


def test_modules_of_one_file_and_compiled_ones_beside_a_package_come_along(
    sandbox: Sandbox,
) -> None:
    code = """
import os, sys
import ast_serialize, mypy.main, mypy_extensions, typing_extensions
def f():
    return sorted({m.__name__.split(".")[0] for m in [*sys.modules.values()]
                   if (getattr(m, "__file__", None) or "").startswith(os.path.dirname(
                       typing_extensions.__file__))})
"""
    (verdict,) = sandbox.run_all([Program(code, calls=("f()",), profile="mypy", timeout_s=60)])
    names = {value[1] for value in verdict.values[0][1:]}
    assert {name for name in names if "__mypyc" not in name} == set(profiles.MODULES["mypy"])


def test_what_a_wheel_has_besides_the_module_stays_away() -> None:
    names = {name: {inside for _, inside in find_profile(name).binds} for name in ("sympy", "mypy")}
    assert "/packages/mypy_extensions.py" in names["mypy"]
    assert not {"/packages/isympy.py", "/packages/mypyc", "/packages/.."} & (
        names["sympy"] | names["mypy"]
    )


def test_a_profile_that_is_not_installed_runs_nothing_and_says_so(
    sandbox: Sandbox, monkeypatch
) -> None:
    monkeypatch.setitem(profiles.MODULES, "solver", {"no_such_module": "no-such"})
    find_profile.cache_clear()
    try:
        (verdict,) = sandbox.run_all([Program("1", calls=("1",), profile="solver")])
        with pytest.raises(RequirementError, match="solver needs no_such_module here: pip install"):
            sandbox.require("solver")
    finally:
        find_profile.cache_clear()
    assert verdict.status == "missing_dependency"
    assert verdict.detail == (
        "no_such_module: not installed, so no profile solver; pip install no-such"
    )
    assert replace(BARE, missing=("x",)).identity == "bare(no x)"
