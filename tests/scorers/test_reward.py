import pytest

from gristmill.engines.rating import Rating
from gristmill.errors import PromptRefused, PromptTooLong
from gristmill.scorers.reward import Reward


def test_a_row_gets_the_raw_value_of_its_whole_conversation(ask, script) -> None:
    engine = script({"Say why.\nBecause.": [Rating(-3.25, 9)]})
    assert (
        ask(Reward(), {"instruction": "Say why.", "output": "Because."}, engine)["score"] == -3.25
    )
    assert [m["role"] for m in engine.calls[0].messages] == ["user", "assistant"]


def test_a_question_after_the_last_answer_is_not_read(ask, script) -> None:
    said = [("user", "One?"), ("assistant", "First."), ("user", "Two?")]
    row = {"messages": [{"role": role, "content": text, "extra": None} for role, text in said]}
    engine = script({"One?\nFirst.": [Rating(1.5, 9)]})
    assert ask(Reward(), row, engine)["score"] == 1.5
    assert len(engine.calls[0].messages) == 2


@pytest.mark.parametrize(
    ("row", "flag"),
    [
        ({"instruction": "Say why.", "output": " "}, "empty_response"),
        ({"instruction": "", "output": "Because."}, "empty_prompt"),
    ],
)
def test_without_both_sides_there_is_no_score(row, flag, ask, script) -> None:
    found = ask(Reward(), row, script({}))
    assert (found["score"], found["flags"]) == (None, [flag])


@pytest.mark.parametrize(
    ("error", "flag"),
    [(PromptTooLong("x"), "prompt_too_long"), (PromptRefused("x"), "prompt_refused")],
)
def test_what_cannot_be_read_whole_has_no_score(error, flag, ask, script) -> None:
    row = {"instruction": "Say why.", "output": "Because.", "flags": ["seen"]}
    found = ask(Reward(), row, script({"Because.": [error]}))
    assert (found["score"], found["flags"]) == (None, sorted(["seen", flag]))


def test_a_value_that_is_no_number_is_none(ask, script) -> None:
    row = {"instruction": "Say why.", "output": "Because."}
    assert ask(Reward(), row, script({"Because.": [Rating(float("inf"), 9)]}))["score"] is None
