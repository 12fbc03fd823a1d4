import pytest

from gristmill.engines.diverging import Divergences
from gristmill.errors import PromptTooLong
from gristmill.scorers.divergence import Divergence

ROW = {"instruction": "Say it.", "output": "yes"}


def test_all_tokens_of_all_answers_count_the_same(ask, script) -> None:
    said = [("user", "One?"), ("assistant", "first"), ("user", "Two?"), ("assistant", "second")]
    first, second = Divergences([0.1, 0.2, 0.3], 5, 3), Divergences([0.6], 12, 1)
    engine = script({("One?", "first"): [first], ("Two?", "second"): [second]})
    row = {"messages": [{"role": role, "content": content} for role, content in said]}
    found = ask(Divergence(), row, engine)
    assert found == {"score": pytest.approx(0.3), "n_tokens": 13, "n_scored": 4}


def test_what_cannot_be_compared_is_null_and_says_why(ask, script) -> None:
    empty = script({"Say it.": [Divergences([], 5, 0)]})
    found = ask(Divergence(), {**ROW, "output": ""}, empty)
    assert (found["score"], found["n_scored"], found["flags"]) == (None, 0, ["empty_response"])
    found = ask(Divergence(), ROW, script({"yes": [PromptTooLong("9 > 8")]}))
    assert (found["score"], found["n_tokens"]) == (None, 0)
    assert found["flags"] == ["prompt_too_long"]
