import asyncio
from typing import Any

import pytest

from gristmill.engines.requests import Request
from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.pipelines import Context
from gristmill.verifiers.unit_tests import UnitTests

OUTPUT = (
    "Two parts:\n```python\ndef f(x):\n    return g(x)\n```\n```py\ndef g(x):\n    return x\n```"
)
TESTS = "meta.self_code_align.tests"


class Fixed:
    """A sandbox that always gives one verdict and remembers what it was asked."""

    def __init__(self, status: Any, why: str = "why") -> None:
        self.verdict, self.asked = Verdict(status, why, 2, 1, profile="here"), list[Program]()

    def stored(self, request: Request) -> None:
        return None

    async def ask(self, request: Request) -> tuple[str, Verdict]:
        assert isinstance(request, Program)
        self.asked.append(request)
        return "key", self.verdict


def judge(sandbox: Fixed, output: str | None, tests: str | list[str] | None) -> Any:
    stage = UnitTests(timeout_s=3, memory_mb=128)
    assert stage.reads() == {"output", TESTS}

    async def go() -> Any:
        ctx = Context({"sandbox": sandbox}, 0, "unit_tests", "id")
        return await stage({"output": output, TESTS: tests}, ctx)

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("status", "passed"),
    [("pass", True), ("fail", False), ("weak_tests", False), ("missing_dependency", None)],
)
def test_a_verdict_becomes_columns(status: str, passed: bool | None) -> None:
    sandbox = Fixed(status)
    row = judge(sandbox, OUTPUT, "assert f(1) == 1")
    assert (row["passed"], row["status"], row["checks_passed"]) == (passed, status, 1)
    assert sandbox.asked == [
        Program(
            "def f(x):\n    return g(x)\n\ndef g(x):\n    return x",
            "assert f(1) == 1",
            timeout_s=3,
            memory_mb=128,
        )
    ]


@pytest.mark.parametrize(
    ("output", "tests", "status"),
    [
        (" \n", "assert f(1) == 1", "no_code"),
        ("```js\nf()\n```\ndef f(): pass", "assert f(1) == 1", "no_code"),
        (OUTPUT, [], "no_tests"),
        ("```python\ndef f(x): return", "assert f(1) == 1", "no_code"),
        (None, "assert f(1) == 1", "no_code"),
        (OUTPUT, " \n", "no_tests"),
        (OUTPUT, None, "no_tests"),
    ],
)
def test_without_code_or_tests_nothing_runs_and_nothing_is_claimed(output, tests, status) -> None:
    sandbox = Fixed("pass")
    row = judge(sandbox, output, tests)
    assert (row["passed"], row["status"], sandbox.asked) == (None, status, [])


def test_an_output_without_any_block_is_code_and_a_list_of_tests_is_one_below_the_other() -> None:
    sandbox = Fixed("pass")
    row = judge(sandbox, "def f(x):\r\n    return x", ["assert f(1) == 1", "assert f(2) == 2"])
    assert row["passed"]
    (program,) = sandbox.asked
    assert program.code == "def f(x):\r\n    return x"
    assert program.tests == "assert f(1) == 1\nassert f(2) == 2"


@pytest.mark.parametrize(
    ("output", "why", "status", "passed"),
    [
        ("You add them.", "not Python: code: SyntaxError", "no_code", None),
        ("def f(x) return x", "not Python: tests: SyntaxError", "error", False),
        ("def f(x):\n    return y", "NameError in the code", "error", False),
        ("```\ndef f(x) return x\n```", "not Python: code: SyntaxError", "error", False),
    ],
)
def test_an_output_that_the_sandbox_finds_to_be_no_code_is_not_judged(
    output, why, status, passed
) -> None:
    row = judge(Fixed("error", why), output, "assert f(1) == 1")
    assert (row["status"], row["passed"]) == (status, passed)
    assert "SyntaxError" in row["detail"] or "NameError" in row["detail"]


ROW = {"output": OUTPUT, TESTS: "assert f(1) == 1"}
PASS, FAIL = Verdict("pass", "", 2, 2), Verdict("fail", "check 0", 2, 1)


@pytest.mark.parametrize(
    ("verdicts", "passed", "status", "flaky", "detail"),
    [
        ([PASS, PASS], True, "pass", False, ""),
        ([FAIL, FAIL], False, "fail", False, "check 0"),
        ([PASS, FAIL], None, "fail", True, "pass, fail: check 0"),
        ([FAIL, PASS], None, "fail", True, "fail, pass: check 0"),
        ([PASS, PASS, FAIL], None, "fail", True, "pass, pass, fail: check 0"),
    ],
)
def test_runs_that_differ_are_flaky_and_judge_nothing(
    ask, script, verdicts, passed, status, flaky, detail
) -> None:
    engine = script({"assert f": verdicts})
    row = ask(UnitTests(attempts=len(verdicts)), ROW, engine)
    found = (row["passed"], row["status"], row["flaky"], row["detail"])
    assert found == (passed, status, flaky, detail)
    assert [program.attempt for program in engine.calls] == list(range(len(verdicts)))


def test_one_run_says_nothing_about_flakiness(ask, script) -> None:
    assert ask(UnitTests(), ROW, script({"assert f": [PASS]}))["flaky"] is None


def test_mutants_are_asked_for_once_and_become_a_share(ask, script) -> None:
    tried = Verdict("pass", "", 2, 2, mutants_total=8, mutants_killed=6)
    engine = script({"assert f": [tried, PASS]})
    row = ask(UnitTests(attempts=2, mutate=True), ROW, engine)
    assert (row["mutation_score"], row["passed"]) == (0.75, True)
    assert [program.mutants for program in engine.calls] == [10, 0]
    assert ask(UnitTests(), ROW, script({"assert f": [PASS]}))["mutation_score"] is None
