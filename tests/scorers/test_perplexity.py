import math

import pytest

from gristmill.errors import PromptTooLong
from gristmill.scorers.perplexity import Perplexity

ROW = {"instruction": "Say it.", "output": "yes"}


def test_the_response_is_scored_after_its_instruction(ask, script) -> None:
    engine = script({("Say it.", "yes"): [[-0.5, -0.7, -0.3]]})
    found = ask(Perplexity(), ROW, engine)
    assert found["nll"] == pytest.approx(0.5)
    assert found["ppl"] == pytest.approx(1.64872, abs=1e-4)
    assert found["n_scored"] == 3
    assert "flags" not in found


def test_turns_are_summed_before_they_are_divided(ask, script) -> None:
    said = [("user", "One?"), ("assistant", "first"), ("user", "Two?"), ("assistant", "second")]
    engine = script({("One?", "first"): [[-0.5] * 3], ("Two?", "second"): [[-2.0]]})
    row = {"messages": [{"role": role, "content": content} for role, content in said]}
    assert ask(Perplexity(), row, engine)["nll"] == pytest.approx(0.875)


def test_the_instruction_alone_is_scored_behind_the_first_token(ask, script) -> None:
    engine = script({"\nSay it.\n\nLoudly.": [[-1.0, -3.0]]})
    found = ask(Perplexity(of="instruction"), {**ROW, "input": "Loudly."}, engine)
    assert engine.calls[0].context == ""
    assert found["nll"] == pytest.approx(2.0)


def test_what_cannot_be_scored_is_null_and_says_why(ask, script) -> None:
    found = ask(Perplexity(), {**ROW, "output": ""}, script({"Say it.\n": [[]]}))
    assert (found["ppl"], found["nll"], found["flags"]) == (None, None, ["empty_response"])
    engine = script({"yes": [PromptTooLong("9 > 8")]})
    assert ask(Perplexity(), ROW, engine)["flags"] == ["prompt_too_long"]
    assert ask(Perplexity(), {"output": "yes"}, script({}))["flags"] == ["empty_prompt"]


def test_a_hopeless_response_stays_a_number(ask, script) -> None:
    found = ask(Perplexity(), ROW, script({"yes": [[-9e9]]}))
    assert math.isfinite(found["ppl"])
