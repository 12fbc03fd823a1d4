"""Honest programs pass, broken ones do not: on programs of our own and on two public benchmarks."""

import ast
import json
import os
import warnings
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from gristmill.engines.sandbox import Program, Sandbox

HONEST = {
    "threads": """
from concurrent.futures import ThreadPoolExecutor
def f(x):
    with ThreadPoolExecutor(4) as pool:
        return sum(pool.map(lambda _: x, range(x)))
""",
    "multiprocessing": """
import multiprocessing
def double(x):
    return x * x
def f(x):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(double, [x])[0]
""",
    "tempfile": """
import os, tempfile
def f(x):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a")
        with open(path, "w") as file:
            file.write("y" * x * x)
        return os.path.getsize(path)
""",
    "subprocess": """
import subprocess
def f(x):
    return int(subprocess.run(["/bin/echo", str(x * x)], capture_output=True).stdout)
""",
    "sqlite": """
import sqlite3
def f(x):
    return sqlite3.connect(":memory:").execute("select ? * ?", (x, x)).fetchone()[0]
""",
    "asyncio": """
import asyncio
async def square(x):
    await asyncio.sleep(0)
    return x * x
def f(x):
    return asyncio.run(square(x))
""",
    "dataclass": """
from dataclasses import dataclass
@dataclass(order=True)
class Number:
    value: int
    def square(self):
        return self.value * self.value
def f(x):
    return Number(x).square()
""",
    "guarded main": """
def f(x):
    return x * x
if __name__ == "__main__":
    print(f(2))
""",
    "pickling": """
import pickle
class Box:
    def __init__(self, x):
        self.x = x
def f(x):
    return pickle.loads(pickle.dumps(Box(x * x))).x
""",
}
CHECKS = {
    "values": "assert f(3) == 9\nassert f(4) == 16",
    "asserts": "for x in (3, 4):\n    assert f(x) == x * x",
}


@pytest.mark.parametrize("mode", CHECKS)
def test_honest_programs_pass(sandbox: Sandbox, mode: str) -> None:
    programs = [Program(code, CHECKS[mode]) for code in HONEST.values()]
    verdicts = dict(zip(HONEST, sandbox.run_all(programs), strict=True))
    assert {k: v for k, v in verdicts.items() if (v.status, v.verified_by) != ("pass", mode)} == {}


@pytest.mark.parametrize(
    ("code", "tests"),
    [
        ("import collections as c\ndef f(x): return c.Counter(x)", "assert f('a') == {'a': 1}"),
        ("def f(x): return {1.0: {2}}", "assert f(0) == {1: {2.0}}"),
        ("def f(x): return x == 1", "assert f(1) == 1.0 or True"),
        ("def f(x): return 0", "assert f(1) == False"),
        ("def f(x): return 'é\\ud800\\u2028'", "assert f(1) == 'é\\ud800\\u2028'"),
        ("def f(x): return (1, [2j, b'3'])", "assert f(1) == (1, [2j, b'3'])"),
        ("def f(x):\n    x.sort()", "a = [2, 1]\nf(a)\nassert a == [1, 2]"),
        ("class P:\n    def __init__(self, x): self.x = x", "assert P(2).x == 2"),
        ("from enum import IntEnum\nclass E(IntEnum):\n    A = 1", "assert E.A == 1"),
        ("squares = [x * x for x in range(3)]", "assert squares == [0, 1, 4]"),
        ("def f(x):\n    if x < 0: raise ValueError\n    return x", """
try:
    f(-1)
    assert False, "no error"
except ValueError:
    pass
assert f(1) == 1
"""),
        ("f = lambda x: x + 1", "assert f(1) == 2"),
        ("def f(x): return x", "y = 1\ndef g():\n    [y for y in 'a']\n    assert f(1) == y\ng()"),
        ("def f(x): return x", "y = 1\ndef g():\n    global y\n    assert y == f(1)\ng()"),
        ("def f(x): return x", "def g(y):\n    assert f(1) == y\ng(1)"),
        ("def f(x): return [x]", "def g():\n    assert [1] == f(1)\n    assert f(0) == [0]\ng()"),
        ("import re\ndef f(x): return re.match('a', x)", "assert f('a')\nassert not f('b')"),
        ("def f(x): return 'a' * x", "assert f(1)\nassert not f(0)"),
        ("def sum(a, b): return a + b", "assert sum(1, 2) == 3"),
        ("def all(x): return x == []", "assert all([])\nassert not all([1])"),
        ("def sum(a, b): return a + b", "def check(f):\n    assert f(1, 2) == 3\ncheck(sum)"),
        ("def max(a): return 0\ndef f(x): return max(x) + x", "assert max(f(1), f(2)) == 2"),
        ("def f(x): return x", "class A(int):\n    def __init__(self, x):\n"
         "        super().__init__()\n        self.x = f(x)\nassert A(1).x == 1"),
        ("def f(x): return x / 3", "assert abs(f(1) - 0.3333333) < 1e-6"),
        ("def f(x): return x / 3", "import math\nassert math.isclose(f(3), 1.0, rel_tol=1e-6)"),
    ],
)  # fmt: skip
def test_an_assert_means_what_it_means_in_python(sandbox: Sandbox, code, tests) -> None:
    (verdict,) = sandbox.run_all([Program(code, tests)])
    expected = "weak_tests" if "or True" in tests else "pass"
    assert verdict.status == expected, verdict


@pytest.mark.parametrize(
    ("code", "tests"),
    [
        ("def f(x): return True", "assert f(1) == 1"),
        ("def f(x): return [1, 2]", "assert f(1) == (1, 2)"),
        ("def f(x): return '1'", "assert f(1) == 1"),
        ("def f(x): return 0.1 + 0.2", "assert f(1) == 0.3"),
        ("def f(x): return float('nan')", "assert f(1) == 0.0"),
        ("def f(x): return None", "assert f(1) == False"),
        ("def f(x): return {1: 2}", "assert f(1) == {1: 3}"),
    ],
)
def test_other_values_fail(sandbox: Sandbox, code, tests) -> None:
    (verdict,) = sandbox.run_all([Program(code, tests)])
    assert (verdict.status, verdict.verified_by) == ("fail", "values"), verdict


def benchmark_programs() -> dict[str, Program]:
    """Return the reference solutions of the two benchmarks with their own tests."""
    folder = Path(os.environ["GRISTMILL_DATA"])
    found = {}
    for line in (folder / "human_eval" / "HumanEval.jsonl").read_text().splitlines():
        task = json.loads(line)
        tests = f"{task['test']}\ncheck({task['entry_point']})"
        found[task["task_id"]] = Program(task["prompt"] + task["canonical_solution"], tests)
    for line in (folder / "mbpp" / "mbpp.jsonl").read_text().splitlines():
        task = json.loads(line)
        tests = "\n".join([task["test_setup_code"], *task["test_list"]])
        # Task 123 needs more than ten seconds of one slow core.
        found[f"mbpp/{task['task_id']}"] = Program(task["code"], tests, timeout_s=60)
    return found


needs_data = pytest.mark.skipif(
    "GRISTMILL_DATA" not in os.environ,
    reason="GRISTMILL_DATA names no folder with human_eval and mbpp",
)


@pytest.mark.slow
@needs_data
def test_every_reference_solution_passes(sandbox: Sandbox) -> None:
    programs = benchmark_programs()
    verdicts = sandbox.run_all(list(programs.values()))
    failed = {k: v for k, v in zip(programs, verdicts, strict=True) if v.status != "pass"}
    assert len(programs) == 797
    assert failed == {}


FLIPS: dict[type, Any] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Lt: ast.GtE,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}


def mutant(code: str) -> str | None:
    """Flip the last operator that has an opposite; 2 + 2 for 2 * 2 is the same program."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(code)
        original = compiled(tree)
        for node in reversed(list(ast.walk(tree))):
            if isinstance(node, ast.BinOp) and type(node.op) in FLIPS:
                node.op = FLIPS[type(node.op)]()
            elif isinstance(node, ast.Compare) and type(node.ops[0]) in FLIPS:
                node.ops[0] = FLIPS[type(node.ops[0])]()
            else:
                continue
            if compiled(tree) != original:
                return ast.unparse(tree)
    return None


def compiled(tree: ast.Module) -> CodeType:
    for node in ast.walk(tree):
        ast.copy_location(node, ast.Pass(lineno=1, col_offset=0, end_lineno=1, end_col_offset=0))
    return compile(tree, "code.py", "exec")


@pytest.mark.slow
@needs_data
def test_mutants_of_reference_solutions_fail(sandbox: Sandbox) -> None:
    """All of them on the default back end, some on the other: judging is the same code for both."""
    programs = list(benchmark_programs().values())[:: 1 if sandbox.backend == "zygote" else 5]
    mutants = [
        Program(changed, program.tests, timeout_s=1)
        for program in programs
        if (changed := mutant(program.code))
    ]
    passed = [
        p for p, v in zip(mutants, sandbox.run_all(mutants), strict=True) if v.status == "pass"
    ]
    assert len(mutants) > 0.6 * len(programs)
    # A flip may change nothing that can be seen, such as > for >= where the two never meet.
    assert len(passed) <= 0.05 * len(mutants), "\n---\n".join(p.code for p in passed)
