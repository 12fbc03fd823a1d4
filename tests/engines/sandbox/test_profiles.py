"""Profiles: what a program can import, and what happens where it is not installed."""

from dataclasses import replace

import pytest

from gristmill.engines.sandbox import Program, Sandbox, profiles
from gristmill.engines.sandbox.profiles import BARE, find_profile
from gristmill.errors import InputError
from gristmill.verifiers.math_answer import ALGEBRA

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
HAS_SYMPY = not find_profile("sympy").missing
needs_sympy = pytest.mark.skipif(not HAS_SYMPY, reason="SymPy or Math-Verify is not installed")


def test_a_profile_names_its_packages_with_their_versions() -> None:
    found = find_profile("sympy")
    assert (find_profile("bare"), BARE.identity) == (BARE, "bare")
    assert found.identity.startswith("sympy(")
    if HAS_SYMPY:
        assert any(name.startswith("sympy 1.") for name in found.packages), found.packages
        assert {inside for _, inside in found.binds} >= {"/packages/sympy", "/packages/mpmath"}


def test_there_is_no_other_profile() -> None:
    with pytest.raises(InputError, match=r"no profile 'simpy' .* did you mean .*sympy"):
        Program("", profile="simpy")


def test_the_profile_is_part_of_the_key() -> None:
    keys = {Program("x", profile=name).key("e") for name in ("bare", "sympy")}
    assert len(keys) == 2


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


def test_a_profile_that_is_not_installed_runs_nothing_and_says_so(
    sandbox: Sandbox, monkeypatch
) -> None:
    monkeypatch.setitem(profiles.MODULES, "odd", ("no_such_module_at_all",))
    (verdict,) = sandbox.run_all([Program("1", calls=("1",), profile="odd")])
    assert verdict.status == "missing_dependency"
    assert verdict.detail == "no_such_module_at_all: not installed, so no profile odd"
    assert replace(BARE, missing=("x",)).identity == "bare(no x)"
