"""What a program must do to get each verdict."""

import asyncio
import doctest

import pytest

from gristmill.engines.sandbox import Program, Sandbox, pool

SQUARE = "def f(x):\n    return x * x\n"
LIAR = (
    "class Liar:\n    def __eq__(self, other):\n        return True\ndef f(x):\n    return Liar()"
)


@pytest.mark.parametrize(
    ("status", "code", "tests"),
    [
        ("pass", SQUARE, "assert f(3) == 9\nassert f(-2) == 4"),
        ("pass", SQUARE, "for i in range(3):\n    assert f(i) == i * i"),
        ("pass", SQUARE, "def test_square():\n    assert f(3) == 9"),
        ("fail", SQUARE, "assert f(3) == 8"),
        ("fail", SQUARE, "assert f(3) == 9\nfor i in ():\n    assert f(i) == 1"),
        ("fail", "def f(x): return True", "assert f(1) == 1"),
        ("pass", "def f(x): return x * 2.0", "assert f(2) == 4"),
        ("error", "def f(x): return 1 / 0", "assert f(3) == 9"),
        ("error", "def f(x): return", "assert f(3 == 9"),
        ("error", "import sys; sys.exit(0)", "assert f(3) == 9"),
        ("error", "import os; os._exit(0)", "assert f(3) == 9"),
        ("error", LIAR, "assert f(3) == 9"),
        ("forged", LIAR, "for x, y in [(1, 2)]:\n    assert y == f(x)"),
        ("weak_tests", SQUARE, "assert f"),
        ("weak_tests", SQUARE, "try:\n    assert f(3) == 9\nexcept Exception:\n    pass"),
        ("weak_tests", SQUARE, "print(f(3))"),
        ("missing_dependency", "import numpy", "assert f(3) == 9"),
        ("timeout", "while True: pass", "assert f(3) == 9"),
        ("oom", "a = []\nwhile True: a.append(bytearray(1 << 20))", "assert f(3) == 9"),
        ("output_limit", "while True: print('x' * 1000)", "assert f(3) == 9"),
    ],
)
def test_a_program_gets_the_verdict_it_deserves(sandbox: Sandbox, status, code, tests) -> None:
    limit = 0.5 if status == "timeout" else 10
    (verdict,) = sandbox.run_all([Program(code, tests, timeout_s=limit, memory_mb=128)])
    assert verdict.status == status, verdict


def test_expected_values_stay_outside_when_the_tests_allow_it(sandbox: Sandbox) -> None:
    first, second = sandbox.run_all(
        [
            Program(SQUARE, "assert f(3) == 9, 'nine'\nassert not f(0)"),
            Program(SQUARE, "assert f(3) == 3 ** 2"),
        ]
    )
    assert (first.status, first.verified_by, first.checks_passed) == ("pass", "values", 2)
    assert (second.status, second.verified_by) == ("pass", "asserts")


@pytest.mark.parametrize(
    ("check", "by"),
    [
        ("''.join(f('ab')) == 'ab'", "values"),
        ("sorted(f([2, 1])) == [1, 2]", "values"),
        ("[9, 16].count(f(9)) == 1", "asserts"),
        ("{9: 3}.get(f(9)) == 3", "asserts"),
        ("sum([f(9) == 9, f(8) == 8]) == 2", "asserts"),
    ],
)
def test_what_compares_inside_is_not_said_to_be_compared_outside(
    sandbox: Sandbox, check: str, by: str
) -> None:
    (verdict,) = sandbox.run_all([Program("def f(x):\n    return x", f"assert {check}")])
    assert (verdict.status, verdict.verified_by) == ("pass", by), verdict


STACK = """
class Stack:
    def __init__(self):
        self.items = []
    def push(self, x):
        self.items.append(x)
    def top(self, back=1):
        return self.items[-back]
def f(x):
    return x
"""


@pytest.mark.parametrize(
    ("tests", "by"),
    [
        (
            "import math\ns = Stack()\ns.push(math.pi)\ns.push([3])\nassert s.top(1) == [3]",
            "values",
        ),
        ("xs = [i * 2 for i in range(3)]\nr = f(xs)\nassert r == [0, 2, 4]", "values"),
        ("r = f([3])\nassert Stack().items == [] and r.count(3) == 1", "asserts"),
        ("n = 0\nfor x in (3, 4):\n    n += f(x) == x\nassert n == 2", "asserts"),
        ("ok = [f(3) == 3, f(4) == 4]\nassert ok == [True, True]", "asserts"),
        ("n = 0\nmatch f(3):\n    case 3:\n        n = 1\nassert n == 1", "asserts"),
        (
            "def score(g):\n    return sum(g(x) == x for x in (3, 4))\nassert score(f) == 2",
            "asserts",
        ),
        ("d = f(5) - 5\nassert d == 0", "asserts"),
    ],
)
def test_only_what_the_code_gave_is_compared_outside(sandbox: Sandbox, tests: str, by: str) -> None:
    (verdict,) = sandbox.run_all([Program(STACK, tests)])
    assert (verdict.status, verdict.verified_by) == ("pass", by), verdict


def test_a_loop_that_runs_already_is_no_hindrance(sandbox: Sandbox) -> None:
    async def many() -> list[str]:
        # A notebook calls run_all inside its loop, a stage awaits.
        now = sandbox.run_all([Program(SQUARE, "assert f(3) == 9")])
        programs = [Program(SQUARE, f"assert f({i}) == {i * i}") for i in range(1, 6)]
        return [v.status for v in [*now, *await asyncio.gather(*map(sandbox.run, programs))]]

    assert asyncio.run(many()) == ["pass"] * 6


def test_the_example_of_run_all_runs(chosen: Sandbox) -> None:
    (found,) = doctest.DocTestFinder().find(type(chosen).run_all, globs=vars(pool))
    done = doctest.DocTestRunner().run(found)
    assert (done.failed, done.attempted) == (0, 4)


def test_the_main_guard_is_cut_when_the_code_asks_for_input(sandbox: Sandbox) -> None:
    code = f"{SQUARE}if __name__ == '__main__':\n    print(f(int(input())))"
    given = f"{SQUARE}seen = input()"
    first, second = sandbox.run_all(
        [
            Program(code, "assert f(3) == 9"),
            Program(given, "assert f(len(seen)) == 9", stdin="abc\n"),
        ]
    )
    assert (first.status, second.status) == ("pass", "pass"), (first, second)


POINT = """
class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y
    def __eq__(self, other):
        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)
def f(x):
    return Point(x, x)
"""
RATIO = """
class Ratio:
    def __init__(self, a, b):
        self.a, self.b = a, b
    def __eq__(self, other):
        return self.a == self.b * other
    def __lt__(self, other):
        return self.a < self.b * other
    def __contains__(self, other):
        return other in (self.a, self.b)
"""
KINDS = """
import enum
from collections import Counter
from fractions import Fraction
class Color(enum.Enum):
    RED = 1
def f(x):
    return [Fraction(1, 2), Counter(x), Color.RED]
"""
LIBRARY = """
import os.path
import xml.dom.minidom
from concurrent import futures
from math import isclose as near
def check(candidate):
    assert near(candidate(3), 9.0) and os.path.join("a", "b") == "a/b"
    assert xml.dom.minidom.parseString("<a/>").documentElement.tagName == "a"
    assert futures.ThreadPoolExecutor(1).submit(candidate, 2).result() - 4 == 0
    all = sorted([candidate(i) for i in (2, 1)])
    assert all == [1, 4] and 4 in all and not 5 in all
check(f)
"""


@pytest.mark.parametrize(
    ("code", "tests"),
    [
        (POINT, "assert f(1) == Point(1, 1)\nassert [f(2)] != [Point(1, 1)]\nassert f(1) != 1"),
        (RATIO, "x = Ratio(4, 2)\nassert x == 2 and 2 == x and x != 3\nassert x < 3 and 4 in x"),
        (KINDS, "r = f('ab')\nassert r == [0.5, {'a': 1, 'b': 1}, Color.RED] and 0.1 < r[0] < 1"),
        (SQUARE, LIBRARY),
        ("def sum(a, b):\n    return a + b", "assert sum(1, 2) == 1 + 2"),
        (
            "from collections import UserDict\ndef f(x):\n    return UserDict(a=x)",
            "assert f(1) == {'a': 1} and 'a' in f(1)",
        ),
        (
            SQUARE,
            "class Close(float):\n    def __eq__(self, other):\n"
            "        return abs(self - other) < 0.5\nassert f(3) == Close(9.25)",
        ),
    ],
    ids=[
        "own class",
        "mixed",
        "library",
        "imports",
        "like a built-in",
        "mapping",
        "class of the tests",
    ],
)
def test_honest_comparisons_pass(sandbox: Sandbox, code, tests) -> None:
    programs = [Program(code, tests, timeout_s=10)] * 8  # the changed assert is drawn by chance
    verdicts = sandbox.run_all(programs)
    assert {(v.status, v.verified_by) for v in verdicts} == {("pass", "asserts")}, verdicts
