from math import log

import pytest

from gristmill.engines.rating import Rating
from gristmill.engines.requests import Completion
from gristmill.errors import PromptTooLong
from gristmill.scorers.reward_gap import RewardGap

ROW = {"instruction": "Say why.", "output": "Because."}


def test_the_given_answer_is_compared_with_the_model_s_own(ask, script) -> None:
    engine = script(
        {
            "Say why.\nBecause.": [Rating(2.0, 9)],
            "Say why.\nNo idea.": [Rating(-0.5, 9)],
            "Say why.": ["No idea."],
        }
    )
    row = ask(RewardGap(), ROW, engine)
    assert (row["score"], row["given"], row["generated"]) == (2.5, 2.0, -0.5)


def test_an_answer_that_is_worse_than_the_model_s_own_has_a_negative_gap(ask, script) -> None:
    table = {"why.\nBecause.": [Rating(1.0, 9)], "why.\nYes.": [Rating(3.0, 9)], "why.": ["Yes."]}
    assert ask(RewardGap(), ROW, script(table))["score"] == -2.0


def test_an_answer_that_the_model_finds_easier_than_its_own_has_nothing_to_teach(
    ask, script
) -> None:
    table = {"why.\nBecause.": [[-log(8)] * 2], "why.\nYes.": [[-log(12)] * 3], "why.": ["Yes."]}
    found = ask(RewardGap(by="perplexity"), ROW, script(table))
    assert found["score"] == pytest.approx(-0.405465, abs=1e-6)
    assert RewardGap(by="perplexity").needs() == {"generator": "generate", "scorer": "score"}


@pytest.mark.parametrize(
    ("row", "table", "flag"),
    [
        ({"instruction": "Say why.", "output": " "}, {}, "empty_response"),
        ({"instruction": "", "output": "Because."}, {}, "empty_prompt"),
        (ROW, {"why": [Completion("", "stop", 9, 0)]}, "no_generation"),
        (ROW, {"why.\nBecause.": [PromptTooLong("x")], "why.": ["Yes."]}, "prompt_too_long"),
    ],
)
def test_what_is_missing_is_no_gap(row, table, flag, ask, script) -> None:
    found = ask(RewardGap(), row, script(table))
    assert (found["score"], found["flags"]) == (None, [flag])
