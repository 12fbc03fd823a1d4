import pytest

from gristmill.engines.requests import Completion
from gristmill.engines.sandbox.program import Verdict
from gristmill.scorers.fault_segments import FaultSegments
from gristmill.text.faults import rebuild

CODE = "def add(a, b):\n    return a + b"
TESTS = "assert add(1, 2) == 3"
ROW = {"instruction": "Add two numbers.", "output": f"```python\n{CODE}\n```", "tests": TESTS}
PASS, FAIL = Verdict("pass"), Verdict("fail", "assert add(1, 2) == 3")


def block(code: str) -> str:
    return f"```python\n{code}\n```"


MINUS, SWAPPED = CODE.replace("+", "-"), CODE.replace("a + b", "b + a")
OTHER = "def add(first, second):\n    total = first\n    return total"


def test_of_the_versions_that_fail_the_most_alike_says_where_the_fault_is(ask, script) -> None:
    table = {
        ("### Program with a mistake", "### Task\nAdd two numbers.\n"): [
            block(SWAPPED), block(MINUS), block(OTHER), "no code at all",
        ],
        CODE: [PASS] * 2, SWAPPED: [PASS], MINUS: [FAIL], OTHER: [FAIL],
    }  # fmt: skip
    found = ask(FaultSegments(), ROW, script(table))
    assert (found["code"], found["incorrect"], found["n_failing"]) == (CODE, MINUS, 2)
    assert found["score"] == pytest.approx(1 - 1 / len(CODE))
    at = CODE.index("+")
    assert (found["lines"], found["spans"]) == ([1], [[at, at + 1]])
    edits = [(edit["start"], edit["end"], edit["text"]) for edit in found["edits"]]
    assert rebuild(CODE, edits) == MINUS
    assert "flags" not in found


@pytest.mark.parametrize("status", ["pass", "timeout", "error"])
def test_a_version_that_passes_or_does_not_end_is_no_fault(ask, script, status) -> None:
    table = {"with a mistake": [block(MINUS)], CODE: [PASS] * 2, MINUS: [Verdict(status)]}
    found = ask(FaultSegments(n=1), {**ROW, "flags": ["seen"]}, script(table))
    assert (found["spans"], found["flags"]) == (None, ["no_fault", "seen"])


def test_another_program_is_no_version_of_this_one(ask, script) -> None:
    table = {"with a mistake": [block(OTHER)] * 2, CODE: [PASS] * 4, OTHER: [FAIL] * 2}
    engine = script(table)
    found = ask(FaultSegments(n=1), ROW, engine)
    assert (found["incorrect"], found["n_failing"], found["flags"]) == (None, 1, ["no_fault"])
    assert ask(FaultSegments(n=1, least=0.0), ROW, engine)["incorrect"] == OTHER


def test_code_that_is_not_correct_is_not_asked_about(ask, script) -> None:
    for runs, flag in (
        ([FAIL, FAIL], "not_correct"),
        ([PASS, FAIL], "flaky"),
        ([FAIL, PASS], "flaky"),
    ):
        assert ask(FaultSegments(), ROW, script({CODE: runs}))["flags"] == [flag]


@pytest.mark.parametrize(
    ("change", "flag"), [({"output": "```\n"}, "no_code"), ({"tests": None}, "no_tests")]
)
def test_without_code_or_tests_nothing_is_run(ask, script, change, flag) -> None:
    assert ask(FaultSegments(), {**ROW, **change}, script({}))["flags"] == [flag]


def test_a_reply_that_was_cut_is_no_version(ask, script) -> None:
    table = {"with a mistake": [Completion(block(MINUS), "length", 9, 9)], CODE: [PASS] * 2}
    assert ask(FaultSegments(n=1), ROW, script(table))["flags"] == ["no_fault"]
