import math

import pytest

from gristmill.engines.requests import LogProbs
from gristmill.errors import PromptRefused, PromptTooLong
from gristmill.scorers.ifd import Ifd


def minus(*nlls: float) -> list[float]:
    return [-nll for nll in nlls]


def test_the_worked_numbers_of_the_sheet(ask, script) -> None:
    engine = script({("Say it.", "yes"): [minus(0.5, 0.7, 0.3)], "\nyes": [minus(1.0, 1.2, 0.8)]})
    found = ask(Ifd(), {"instruction": "Say it.", "input": None, "output": "yes"}, engine)
    assert found["nll_cond"] == pytest.approx(0.5)
    assert found["nll_uncond"] == pytest.approx(1.0)
    assert found["loss"] == pytest.approx(0.5)
    assert found["ppl"] == pytest.approx(0.60653, abs=1e-5)
    assert (found["n_scored"], found["truncated"]) == (3, False)
    assert "flags" not in found


@pytest.mark.parametrize(
    ("cond", "uncond", "loss", "ppl"),
    [
        ([1.0], [2.0], 0.5, 0.36788),
        ([0.2], [0.5], 0.4, 0.74082),  # above the row before by ppl, below it by loss
        ([1.3], [1.2], 1.08333, 1.10517),
        ([2.0, 0.5, 0.5], [6.0, 1.0, 1.0], 0.375, 0.18888),  # 1.0 where the first is not scored
    ],
)
def test_both_ratios(ask, script, cond, uncond, loss, ppl) -> None:
    engine = script({("Q", "yes"): [minus(*cond)], "\nyes": [minus(*uncond)]})
    found = ask(Ifd(), {"instruction": "Q", "output": "yes"}, engine)
    assert found["loss"] == pytest.approx(loss, abs=1e-4)
    assert found["ppl"] == pytest.approx(ppl, abs=1e-4)


def test_instruction_and_input_are_one_message(ask, script) -> None:
    engine = script({"Add.\n\n1 2": [[-1.0]], "\n3": [[-2.0]]})
    ask(Ifd(), {"instruction": "Add.", "input": "1 2", "output": "3"}, engine)
    assert engine.calls[0].context == [{"role": "user", "content": "Add.\n\n1 2"}]
    assert engine.calls[1].context == []


def test_turns_are_summed_before_they_are_divided(ask, script) -> None:
    messages = [
        {"role": "user", "content": "One?", "extra": None},
        {"role": "assistant", "content": "first", "extra": None},
        {"role": "user", "content": "Two?", "extra": None},
        {"role": "assistant", "content": "second", "extra": None},
    ]
    engine = script(
        {
            ("One?", "first"): [minus(0.5, 0.5, 0.5)],
            ("Two?", "second"): [minus(2.0)],
            "\nfirst": [minus(1.0, 1.0, 1.0)],
            "\nsecond": [minus(2.4)],
        }
    )
    found = ask(Ifd(), {"instruction": "One?", "output": "second", "messages": messages}, engine)
    assert (found["nll_cond"], found["nll_uncond"]) == (pytest.approx(0.875), pytest.approx(1.35))
    assert found["loss"] == pytest.approx(0.64815, abs=1e-5)
    assert found["ppl"] == pytest.approx(0.62189, abs=1e-5)
    history = [call.context for call in engine.calls if call.response == "second" and call.context]
    assert [[m["content"] for m in context] for context in history] == [["One?", "first", "Two?"]]


def test_a_cut_response_is_compared_over_the_same_tokens_and_flagged(ask, script) -> None:
    engine = script(
        {
            ("Q", "long"): [LogProbs(minus(1.0, 2.0), 9, 3)],
            "\nlong": [LogProbs(minus(2.0, 3.0, 99.0), 2, 3)],
        }
    )
    found = ask(Ifd(), {"instruction": "Q", "output": "long", "flags": ["seen"]}, engine)
    assert (found["nll_cond"], found["nll_uncond"], found["n_scored"]) == (1.5, 2.5, 2)
    assert found["truncated"]
    assert found["flags"] == ["seen", "truncated"]


def test_what_cannot_be_scored_is_null_and_says_why(ask, script) -> None:
    engine = script({"Q\n": [LogProbs([], 4, 0)], "\n": [LogProbs([], 2, 0)]})
    found = ask(Ifd(), {"instruction": "Q", "output": ""}, engine)
    assert (found["ppl"], found["loss"], found["nll_cond"], found["n_scored"]) == (None,) * 3 + (0,)
    assert found["flags"] == ["empty_response"]

    engine = script({("Q", "yes"): [PromptTooLong("9 > 8")], "\nyes": [minus(1.0)]})
    found = ask(Ifd(), {"instruction": "Q", "output": "yes"}, engine)
    assert (found["ppl"], found["flags"]) == (None, ["prompt_too_long"])

    engine = script({("Q", "yes"): [PromptRefused("no role 'tool'")], "\nyes": [minus(1.0)]})
    found = ask(Ifd(), {"instruction": "Q", "output": "yes"}, engine)
    assert (found["ppl"], found["flags"]) == (None, ["prompt_refused"])

    found = ask(Ifd(), {"instruction": " ", "output": "yes"}, script({}))
    assert (found["ppl"], found["flags"]) == (None, ["empty_prompt"])


@pytest.mark.parametrize(
    ("error", "flag"),
    [(PromptTooLong("9 > 8"), "prompt_too_long"), (PromptRefused("no"), "prompt_refused")],
)
def test_a_conversation_is_scored_as_a_whole_or_not_at_all(ask, script, error, flag) -> None:
    said = [("user", "One?"), ("assistant", "first"), ("user", "Two?"), ("assistant", "second")]
    engine = script(
        {
            ("One?", "first"): [minus(0.5, 0.5)],
            ("Two?", "second"): [error],
            "\nfirst": [minus(1.0, 1.0)],
            "\nsecond": [minus(2.4)],
        }
    )
    row = {"messages": [{"role": role, "content": content} for role, content in said]}
    found = ask(Ifd(), row, engine)
    assert [found[name] for name in ("ppl", "loss", "nll_cond", "nll_uncond")] == [None] * 4
    assert (found["n_scored"], found["flags"]) == (0, [flag])


def test_a_certain_response_has_no_loss_ratio(ask, script) -> None:
    engine = script({("Q", "yes"): [[-0.5]], "\nyes": [[0.0]]})
    found = ask(Ifd(), {"instruction": "Q", "output": "yes"}, engine)
    assert found["loss"] is None
    assert found["ppl"] == pytest.approx(math.exp(0.5))
