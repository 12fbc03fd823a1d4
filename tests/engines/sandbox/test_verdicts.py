"""What a program must do to get each verdict."""

import asyncio

import pytest

from gristmill.engines.sandbox import Program, Sandbox

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


def test_a_loop_that_runs_already_is_no_hindrance(sandbox: Sandbox) -> None:
    async def many() -> list[str]:
        # A notebook calls run_all inside its loop, a stage awaits.
        now = sandbox.run_all([Program(SQUARE, "assert f(3) == 9")])
        programs = [Program(SQUARE, f"assert f({i}) == {i * i}") for i in range(1, 6)]
        return [v.status for v in [*now, *await asyncio.gather(*map(sandbox.run, programs))]]

    assert asyncio.run(many()) == ["pass"] * 6


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
