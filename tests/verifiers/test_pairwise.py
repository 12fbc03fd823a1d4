import pytest

from gristmill.engines.requests import Probs
from gristmill.errors import PromptTooLong
from gristmill.verifiers.pairwise import Pairwise

PAIR = {"prompt": "Name a tree.", "chosen": "An oak.", "rejected": "A stone."}
AS_A, AS_B = "### Answer A\nAn oak.", "### Answer B\nAn oak."


def probs(a: float, b: float) -> dict[str, float]:
    return {"A": a, "B": b, "C": 1 - a - b}


def judged(ask, script, first, second, stage=None):
    return ask(stage or Pairwise(), PAIR, script({AS_A: [first], AS_B: [second]}))


@pytest.mark.parametrize(
    ("first", "second", "passed", "status", "margin"),
    [
        ((0.8, 0.1), (0.2, 0.7), True, "chosen", 0.6),
        ((0.1, 0.8), (0.7, 0.2), False, "rejected", -0.6),
        ((0.2, 0.2), (0.1, 0.2), None, "tie", 0.05),
        ((0.8, 0.1), (0.8, 0.1), None, "order_bias", 0.0),
        ((0.8, 0.1), (0.2, 0.2), None, "order_bias", 0.35),
    ],
)
def test_only_what_both_orders_say_wins(ask, script, first, second, passed, status, margin) -> None:
    row = judged(ask, script, probs(*first), probs(*second))
    assert (row["passed"], row["status"]) == (passed, status)
    assert row["margin"] == pytest.approx(margin)
    assert row["is_consistent"] == (status != "order_bias")
    assert row["winner"] == ("tie" if passed is None else status)


def test_a_judge_that_always_says_a_gives_ties_alone(ask, script) -> None:
    always = {"A": 1.0, "B": 0.0, "C": 0.0}
    row = judged(ask, script, always, always)
    assert (row["winner"], row["margin"]) == ("tie", 0.0)
    assert row["detail"] == "read first chosen, read second rejected"


def test_the_standard_is_in_the_prompt_before_the_answers(ask, script) -> None:
    engine = script({AS_A: [probs(0.9, 0.1)], AS_B: [probs(0.1, 0.9)]})
    ask(Pairwise(rubric="Be brief."), PAIR, engine)
    assert (
        "### Standard\nBe brief.\n\n### Request\nName a tree."
        in engine.calls[0].prompt[0]["content"]
    )


@pytest.mark.parametrize("missing", [None, "", " \n"])
def test_without_two_answers_nobody_is_asked(ask, script, missing) -> None:
    row = ask(Pairwise(), PAIR | {"rejected": missing}, script({}))
    assert (row["passed"], row["status"], row["winner"]) == (None, "empty_answer", None)


def test_no_verdict_is_no_tie(ask, script) -> None:
    other = Probs({"A": 1.0, "B": 0.0, "C": 0.0}, 0.3, 9)
    row = judged(ask, script, other, probs(0.1, 0.8))
    assert (row["passed"], row["status"], row["winner"]) == (None, "unparsed_judge", None)
    long = judged(ask, script, PromptTooLong("9 tokens"), probs(0.1, 0.8))
    assert (long["status"], long["detail"], long["margin"]) == ("prompt_too_long", "9 tokens", None)
