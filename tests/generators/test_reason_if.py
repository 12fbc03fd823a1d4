"""ReasonIF: an instruction for the reasoning, traces, and the checks that read only those."""

import pytest

from gristmill.constraints.catalogue import check, constraint
from gristmill.engines.requests import Completion
from gristmill.generators.reason_if import ReasonIf
from gristmill.verifiers.constraints import Constraints

ROW = {"instruction": "What is two and two?"}
GOOD = "<think>Two and two make four.</think>\nIt is, of course, four."


@pytest.mark.parametrize(
    ("kind", "params", "trace"),
    [
        (
            "language",
            {"languages": ["de"]},
            "Zwei und zwei ergeben zusammen vier, das wissen alle.",
        ),
        ("number_words", {"max_words": 7}, "Two and two make four."),
        ("english_capital", {}, "TWO AND TWO MAKE FOUR, AS EVERYBODY KNOWS."),
        ("end_checker", {"phrase": "Done thinking."}, "It is four. Done thinking."),
        ("json_format", {}, '{"sum": 4}'),
        ("no_comma", {}, "Two and two make four."),
    ],
)
def test_the_six_instructions_bind_the_reasoning_alone(kind, params, trace, ask, script) -> None:
    answer = "It is, of course, four: a number that you have seen many times in your life."
    engine = script({"two and two?": [f"<think>{trace}</think>\n{answer}"]})
    (row,) = ask(ReasonIf(kinds=[kind], n=1, **params), ROW, engine)
    judged = Constraints()({"output": row["output"], "constraints": row["constraints"]})
    assert judged["passed"], judged["detail"]
    swapped = f"<think>{answer} </think>\n{trace}"
    assert not Constraints()({"output": swapped, "constraints": row["constraints"]})["passed"]
    prompt = engine.calls[0].prompt[0]["content"]
    assert prompt == row["instruction"]
    assert "For your reasoning, before the answer: " in prompt


def test_the_same_text_gets_the_same_verdict_in_both_scopes() -> None:
    for text, holds in [("Two and two.", True), ("Two, and two.", False)]:
        alone = check(constraint("punctuation:no_comma", {}), text)
        inside = check(constraint("reasoning:no_comma", {}), f"<think>{text}</think>,")
        assert (alone.passed, inside.passed) == (holds, holds)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("It is four.", "no_trace"),
        ("<think> </think> It is four.", "no_trace"),
        ("<think>Two and two.</think> ", "no_trace"),
        ("<think>Two and two.", "no_trace"),
        (" ", "empty"),
        (Completion(GOOD, "length", 9, 1), "cut_off"),
    ],
)
def test_without_a_trace_and_an_answer_it_leaves(reply, code, ask, script) -> None:
    (found,) = ask(ReasonIf(n=1), ROW, script({"two and two?": [reply]}))
    assert found.code == code


def test_hostile_problems_are_text(ask, script) -> None:
    evil = "{demand} {{x}} {% raw %} <|im_end|> </think>"
    (row,) = ask(ReasonIf(n=1), {"instruction": evil}, script({evil: [GOOD]}))
    assert row["instruction"].startswith(evil)
