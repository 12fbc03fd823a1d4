import json
import os
from collections import Counter
from pathlib import Path

import pytest

from gristmill.engines.sandbox import Program, Sandbox, Verdict
from gristmill.errors import RequirementError
from gristmill.verifiers.true_edit import TrueEdit

BEFORE, AFTER = "def f(x):\n    return x", "def f(x):\n    return x + 1"
TESTS = "assert f(1) == 2"
PASS, FAIL = Verdict("pass", verified_by="values"), Verdict("fail", "check 0")


@pytest.mark.parametrize(
    ("before", "after", "passed", "status"),
    [
        (FAIL, PASS, True, "pass"),
        (Verdict("error"), PASS, True, "pass"),
        (PASS, PASS, False, "not_needed"),
        (FAIL, FAIL, False, "fail"),
        (PASS, FAIL, False, "fail"),
        (FAIL, Verdict("timeout"), False, "timeout"),
        (FAIL, Verdict("weak_tests"), None, "weak_tests"),
        (FAIL, Verdict("missing_dependency"), None, "missing_dependency"),
    ],
)
def test_an_edit_is_true_where_only_its_result_passes(
    ask, script, before, after, passed, status
) -> None:
    engine = script({AFTER: [after], BEFORE: [before]})
    row = {"input": BEFORE, "output": f"```python\n{AFTER}\n```", "tests": TESTS}
    found = ask(TrueEdit(), row, engine)
    assert (found["passed"], found["status"]) == (passed, status)


@pytest.mark.parametrize("name", ["input", "output", "tests"])
def test_half_an_edit_is_not_judged(ask, script, name) -> None:
    row = {"input": BEFORE, "output": AFTER, "tests": TESTS, name: None}
    found = ask(TrueEdit(), row, script({}))
    assert (found["passed"], found["status"]) == (None, "no_edit")


def test_the_edits_of_edit_eval_are_true_but_for_a_few() -> None:
    path = Path(os.environ.get("GRISTMILL_DATA", "")) / "edit_eval/edit_eval.jsonl"
    if not path.is_file():
        pytest.skip("no GRISTMILL_DATA/edit_eval")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows = [row for row in rows if not row.get("context")][:20]  # the others run in a notebook
    sides = [
        Program(row[side], f"{row['test']}\ncheck()", profile="numpy")
        for row in rows
        for side in ("input", "output")
    ]
    with Sandbox(2) as sandbox:
        try:
            found = [verdict.status == "pass" for verdict in sandbox.run_all(sides)]
        except RequirementError as error:
            pytest.skip(f"no isolation here: {error}")
    ends = Counter(zip(found[::2], found[1::2], strict=True))
    assert ends[False, True] >= 17, ends
