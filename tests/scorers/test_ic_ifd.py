import pytest

from gristmill.engines.requests import LogProbs
from gristmill.errors import PromptTooLong
from gristmill.scorers.ic_ifd import IcIfd

ROW = {"instruction": "Say it.", "output": "yes"}


def tell(script, prompt: float, cond: float, uncond: float, n: int = 5):
    return script({"Say it.\n\nyes": [[-cond]], "\nSay it.": [[-prompt] * n], "\nyes": [[-uncond]]})


@pytest.mark.parametrize(
    ("prompt", "cond", "uncond", "ifd", "score"),
    [
        (2.0, 0.9, 1.5, 0.6, 0.3),
        (4.0, 1.2, 1.5, 0.8, 0.2),
        (2.4, 1.2, 1.5, 0.8, 0.3333),
    ],  # IFD prefers the second
)
def test_the_worked_numbers_of_the_sheet(ask, script, prompt, cond, uncond, ifd, score) -> None:
    found = ask(IcIfd(), ROW, tell(script, prompt, cond, uncond))
    assert found["ifd"] == pytest.approx(ifd, abs=1e-4)
    assert found["score"] == pytest.approx(score, abs=1e-4)
    assert "flags" not in found


def test_the_layout_is_plain_text_line_by_line(ask, script) -> None:
    engine = tell(script, 2.0, 0.9, 1.5)
    ask(IcIfd(), ROW, engine)
    assert sorted((call.context, call.response) for call in engine.calls) == [
        ("", "Say it."),
        ("", "yes"),
        ("Say it.\n", "yes"),
    ]


def test_turns_are_summed_before_they_are_divided(ask, script) -> None:
    said = [("user", "One?"), ("assistant", "first"), ("user", "Two?"), ("assistant", "second")]
    engine = script(
        {
            "\nsecond": [[-2.4], [-2.0]],
            "\nTwo?": [[-4.0] * 4],
            "\nfirst": [[-1.0] * 3, [-0.5] * 3],
            "\nOne?": [[-2.0] * 4],
        }
    )
    row = {"messages": [{"role": role, "content": content} for role, content in said]}
    found = ask(IcIfd(), row, engine)
    assert found["nll_prompt"] == pytest.approx(3.0)
    assert found["ifd"] == pytest.approx(0.64815, abs=1e-4)
    assert found["score"] == pytest.approx(0.21605, abs=1e-4)
    assert [call.context for call in engine.calls if call.response == "second"] == [
        "",
        "One?\nfirst\nTwo?\n",
    ]


def test_a_question_of_four_tokens_says_too_little(ask, script) -> None:
    found = ask(IcIfd(), ROW, tell(script, 2.0, 0.9, 1.5, n=4))
    assert (found["score"], found["ifd"]) == (None, pytest.approx(0.6))
    assert found["flags"] == ["short_prompt"]


def test_a_text_known_by_heart_is_held_and_flagged(ask, script) -> None:
    found = ask(IcIfd(), ROW, tell(script, 0.01, 0.002, 0.01))
    assert found["score"] == pytest.approx(2.0)
    assert found["flags"] == ["memorised"]


def test_a_cut_response_is_compared_over_the_same_tokens(ask, script) -> None:
    engine = script(
        {
            "Say it.\n\nyes": [LogProbs([-1.0, -2.0], 9, 3)],
            "\nSay it.": [[-2.0] * 5],
            "\nyes": [[-2.0, -3.0, -99.0]],
        }
    )
    found = ask(IcIfd(), ROW, engine)
    assert (found["ifd"], found["score"]) == (pytest.approx(0.6), pytest.approx(0.3))
    assert found["flags"] == ["truncated"]


def test_what_cannot_be_scored_is_null_and_says_why(ask, script) -> None:
    engine = script({"Say it.\n\n": [[]], "\nSay it.": [[-2.0] * 5], "\n": [[]]})
    found = ask(IcIfd(), {**ROW, "output": ""}, engine)
    assert (found["score"], found["flags"]) == (None, ["empty_response"])
    engine = script(
        {"Say it.\n\nyes": [PromptTooLong("9 > 8")], "\nSay it.": [[-2.0] * 5], "\nyes": [[-1.0]]}
    )
    found = ask(IcIfd(), ROW, engine)
    assert (found["score"], found["nll_prompt"], found["flags"]) == (
        None,
        None,
        ["prompt_too_long"],
    )
    assert ask(IcIfd(), {"output": "yes"}, script({}))["flags"] == ["empty_prompt"]
