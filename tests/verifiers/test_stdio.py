from gristmill.engines.sandbox.program import Verdict
from gristmill.verifiers.stdio import Stdio

ROW = {
    "output": "```python\nprint(int(input()) * 2)\n```",
    "inputs": ["1", "2", "3"],
    "outputs": ["2", "4", "6"],
}
PASS = Verdict("pass", verified_by="stdio", profile="here")


def test_all_outputs_must_be_right(ask, script) -> None:
    engine = script({"print": [PASS, PASS, PASS]})
    row = ask(Stdio(tolerance=1e-5, timeout_s=3, memory_mb=128), ROW, engine)
    assert (row["passed"], row["status"], row["verified_by"]) == (True, "pass", "stdio")
    assert (row["statuses"], row["checks_total"], row["checks_passed"]) == (["pass"] * 3, 3, 3)
    assert (row["detail"], row["profile"]) == ("", "here")
    asked = [(p.stdin, p.stdout, p.tests, p.tolerance, p.timeout_s) for p in engine.calls]
    assert asked == [(i, o, "", 1e-5, 3) for i, o in (("1", "2"), ("2", "4"), ("3", "6"))]


def test_the_first_status_that_is_no_pass_counts_and_all_are_kept(ask, script) -> None:
    wrong, slow = Verdict("fail", "line 1"), Verdict("timeout", "slow")
    row = ask(Stdio(), ROW, script({"print": [PASS, wrong, slow]}))
    assert (row["passed"], row["status"], row["detail"]) == (False, "fail", "input 1: line 1")
    assert (row["statuses"], row["checks_passed"]) == (["pass", "fail", "timeout"], 1)


def test_what_says_nothing_about_the_code_is_not_its_failure(ask, script) -> None:
    missing = Verdict("missing_dependency", "torch")
    row = ask(Stdio(), ROW, script({"print": [missing] * 3}))
    assert (row["passed"], row["status"]) == (None, "missing_dependency")


def test_columns_that_cannot_judge_run_nothing(ask, script) -> None:
    for change, status, detail in (
        ({"output": "no code"}, "no_code", "no closed python block in the output"),
        ({"output": None}, "no_code", "no closed python block in the output"),
        ({"inputs": []}, "no_tests", "inputs is no list of texts, or an empty one"),
        ({"outputs": None}, "no_tests", "outputs is no list of texts, or an empty one"),
        ({"outputs": "246"}, "no_tests", "outputs is no list of texts, or an empty one"),
        ({"inputs": ["1", None, "3"]}, "no_tests", "inputs holds something else than texts"),
        ({"inputs": ["1"]}, "no_tests", "1 inputs, but 3 outputs"),
    ):
        row = ask(Stdio(), ROW | change, script({}))
        assert (row["passed"], row["status"], row["detail"]) == (None, status, detail)
        assert (row["statuses"], row["checks_total"], row["verified_by"]) == ([], None, None)


def test_its_columns_are_named_by_the_recipe() -> None:
    stage = Stdio(inputs="meta.stdin", outputs="meta.stdout")
    assert stage.reads() == {"output", "meta.stdin", "meta.stdout"}
