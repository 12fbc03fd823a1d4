"""Mutants: which mistakes are made in a program, and which of them its tests notice."""

import ast

import pytest

from gristmill.engines.sandbox import Program, Sandbox
from gristmill.engines.sandbox.mutants import mutate, places

BIGGEST = """
def biggest(numbers):
    if not numbers:
        return None
    best = numbers[0]
    for number in numbers:
        if number > best:
            best = number
    return best
"""


@pytest.mark.parametrize(
    ("code", "mutants"),
    [
        ("a < b", ["a <= b"]),
        ("a == b", ["a != b"]),
        ("a < b < c", ["a <= b < c"]),
        ("x in y", ["x not in y"]),
        ("x is None", ["x is not None"]),
        ("a and b or c", ["(a and b) and c", "(a or b) or c"]),
        ("a + b * 2", ["a - b * 2", "a + (b + 2)", "a + b * 3"]),
        ("a /= 2", ["a *= 2", "a /= 3"]),
        ("not a", ["not not a"]),
        ("-a", ["+a"]),
        ("f(True, 1.5)", ["f(False, 1.5)", "f(True, 2.5)"]),
        ("'text' @ None", []),
        ("a ^ b", []),
    ],
)
def test_every_operator_and_number_gives_one_mutant(code: str, mutants: list[str]) -> None:
    made = []
    for i in range(len(places(ast.parse(code)))):
        tree = ast.parse(code)
        mutate(tree, i)
        compile(tree, "mutant", "exec")
        made.append(ast.unparse(tree))
    assert made == [ast.unparse(ast.parse(mutant)) for mutant in mutants]


@pytest.mark.parametrize(
    ("tests", "total", "killed"),
    [
        ("assert biggest([2, 9, 4]) == 9\nassert biggest([-1]) == -1", 3, 2),
        ("assert biggest([5, 5]) == 5", 3, 1),
        ("for i in range(3):\n    assert biggest([1, i, 3]) == 3", 3, 1),
    ],
)
def test_better_tests_kill_more_mutants(sandbox: Sandbox, tests, total, killed) -> None:
    # `not not numbers` gives None; `numbers[1]` fails for one number; `>=` behaves as `>` does.
    first, again = sandbox.run_all([Program(BIGGEST, tests, mutants=10)] * 2)
    assert (first.status, first.mutants_total) == ("pass", total), first
    assert first.mutants_killed == again.mutants_killed == killed


def test_only_a_pass_is_worth_mutants_and_their_number_is_bounded(sandbox: Sandbox) -> None:
    long = "def f(x):\n    return x + 1 + 2 + 3 + 4 + 5 + 6 - 21"
    capped, failed, script = sandbox.run_all(
        [
            Program(long, "assert f(3) == 3", mutants=4),
            Program(long, "assert f(3) == 4", mutants=4),
            Program("print(1 + 1)", stdout="2", mutants=4),
        ]
    )
    assert (capped.status, capped.mutants_total, capped.mutants_killed) == ("pass", 4, 4)
    assert (failed.status, failed.mutants_total, failed.mutants_killed) == ("fail", None, None)
    assert (script.status, script.mutants_total, script.mutants_killed) == ("pass", 3, 3)


def test_a_mutant_that_never_ends_is_killed_early(sandbox: Sandbox) -> None:
    code = "def f(n):\n    while n > 0:\n        n -= 1\n    return n"
    (verdict,) = sandbox.run_all([Program(code, "assert f(5) == 0", mutants=9, timeout_s=60)])
    assert verdict.status == "pass"
    assert (verdict.mutants_total, verdict.mutants_killed) == (4, 4), verdict
