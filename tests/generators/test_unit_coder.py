from typing import Any

import pytest

from gristmill.engines.requests import Completion
from gristmill.engines.sandbox import Program, Verdict
from gristmill.generators.unit_coder import UnitCoder
from gristmill.generators.unit_coder_refine import UnitCoderRefine
from gristmill.text.fences import python_code

WRONG = "import re\n\n\ndef count(text):\n    return len(re.findall('a', text)) + 1"
STILL = WRONG.replace("+ 1", "+ 2")
RIGHT = WRONG.replace(" + 1", "")
CHECKS = "assert count('banana') == 3\nassert count('') == 0"
SEED = {"code": WRONG, "name": "count"}
TEST, FIX, REFINE = "### Tests", "### Corrected code", "### Readable code"


def block(code: str) -> str:
    return f"```python\n{code}\n```"


@pytest.fixture
def coded(ask, script, sandbox) -> Any:
    def call(fixes: list[Any], tests: str = block(CHECKS), seed: Any = SEED, **changes: Any) -> Any:
        engine = script({FIX: fixes, TEST: [tests]})
        stage = UnitCoder(**{"timeout_s": 2, **changes})
        return ask(stage, seed, {"generator": engine, "sandbox": sandbox}), engine.calls

    return call


def test_a_wrong_function_is_right_after_two_repairs(coded, sandbox) -> None:
    row, calls = coded([block(STILL), block(RIGHT)])
    assert (row["repair_rounds"], row["name"], row["tests"]) == (2, "count", CHECKS)
    assert python_code(row["output"]) == RIGHT
    assert row["instruction"].endswith("```python\nimport re\n\n\ndef count(text):\n```")
    assert len(calls) == 3
    first, second = (call.prompt[0]["content"] for call in calls[1:])
    for asked, code in ((first, WRONG), (second, STILL)):
        assert f"### Tests\n{CHECKS}\n\n### Code\n{code}\n" in asked, "the tests never change"
        assert "### What happened\nfail: check 0: expected 3, found" in asked
    again = [Program(python_code(row["output"]), row["tests"])]
    assert [verdict.status for verdict in sandbox.run_all(again)] == ["pass"]


@pytest.mark.parametrize(
    "bad",
    [
        block(RIGHT + "\n\nassert count('') == 1"),
        block(RIGHT + "\n\ndef test_count():\n    assert True"),
        block("import re"),
        block(RIGHT.replace("(text)", "(text, more)", 1)),
        block("def count(text): raise NotImplementedError"),
        "Sorry, I cannot.",
        "```python\n" + RIGHT,
        Completion(block(RIGHT), "length", 9, 9),
        " ",
    ],
)
def test_a_repair_that_edits_tests_or_loses_the_function_costs_its_round(coded, bad) -> None:
    row, calls = coded([bad, block(RIGHT)])
    assert (row["repair_rounds"], python_code(row["output"])) == (2, RIGHT)
    assert WRONG in calls[2].prompt[0]["content"], "the code before it stays"


def test_repairs_come_to_an_end(coded) -> None:
    drop, calls = coded([block(STILL)] * 3)
    assert (drop.code, len(calls)) == ("failed_tests", 4)


@pytest.mark.parametrize(
    ("tests", "why"),
    [
        (block("count('banana')"), "weak_tests"),
        (block("assert count('banana') is not 5"), "weak_tests"),
        (block("import no_such_package\n" + CHECKS), "missing_package"),
        (block("import sys\nsys.exit(0)"), "failed_tests"),
        (block("while True: pass"), "failed_tests"),
        ("Sorry, no.", "no_tests"),
        ("```python\n" + CHECKS, "no_tests"),
        (Completion(block(CHECKS), "length", 9, 9), "cut_off"),
        (" ", "empty"),
    ],
)
def test_tests_that_prove_nothing_end_the_row(coded, tests, why) -> None:
    drop, _ = coded([], tests, repairs=0, timeout_s=0.5)
    assert drop.code == why
    assert why in UnitCoder.codes


def test_a_verdict_that_changes_is_flaky(ask, script) -> None:
    task = '{"name": "count", "stub": "def count(text): ...", "context": ""}'
    engine = script(
        {
            TEST: [block(CHECKS)],
            CHECKS: [Verdict("pass"), Verdict("fail", "check 0")],
            "\n": [Verdict("pass", cells=[{"stdout": task}])],
        }
    )
    drop = ask(UnitCoder(), SEED, engine)
    assert (drop.code, drop.detail) == ("flaky", "pass, then fail: check 0")


@pytest.mark.parametrize("code", ["x = 1", "def f(", "{code} %s ### Tests", ""])
def test_a_seed_without_a_function_leaves_before_any_model(ask, script, sandbox, code) -> None:
    roles = {"generator": script({}), "sandbox": sandbox}
    assert ask(UnitCoder(), {"code": code}, roles).code == "no_function"


READABLE = RIGHT.replace(":\n", ':\n    """Return how often it has an a."""\n', 1)


@pytest.mark.parametrize(
    ("reply", "refined"),
    [
        (block(READABLE), True),
        (block(READABLE.replace("return len", "return 1 + len")), False),
        (block(READABLE.replace("count", "number")), False),
        (block(READABLE + "\nassert count('') == 0"), False),
        ("Sorry.", False),
        (Completion(block(READABLE), "length", 9, 9), False),
    ],
)
def test_a_refinement_that_changes_anything_is_discarded(
    ask, script, sandbox, reply, refined
) -> None:
    before = {"instruction": "Complete.", "output": block(RIGHT)}
    row = {**before, "meta.unit_coder.tests": CHECKS, "meta.unit_coder.name": "count"}
    engine = script({REFINE: [reply]})
    found = ask(UnitCoderRefine(timeout_s=2), row, {"generator": engine, "sandbox": sandbox})
    assert found["refined"] is refined
    assert found["tests"] == CHECKS
    if refined:
        assert python_code(found["output"]) == READABLE
        assert '"""Return how often it has an a."""' in found["instruction"]
    else:
        assert {name: found[name] for name in before} == before
