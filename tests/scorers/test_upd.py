from math import log

import pytest

from gristmill.engines.entropies import Entropies, bounds
from gristmill.errors import PromptTooLong
from gristmill.scorers.upd import Upd

ROW = {"instruction": "Say it.", "output": "yes"}


def told(*distributions: list[float], n_response: int | None = None) -> Entropies:
    """The first probability of each is the one of the token that is there."""
    values = [log(probs[0]) for probs in distributions]
    entropies = [-sum(p * log(p) for p in probs) for probs in distributions]
    return Entropies(values, entropies, 4, 9, n_response or len(values))


LIKELY = [0.7, 0.1, 0.1, 0.1]
UNIFORM = [0.25] * 4
WRONG = [0.01, 0.97, 0.01, 0.01]
RIGHT = [0.97, 0.01, 0.01, 0.01]


@pytest.mark.parametrize(
    ("distributions", "entropy", "score"),
    [
        ([LIKELY], 0.94045, 0.18918),
        ([UNIFORM], log(4), 0.0),
        ([WRONG], 0.16770, 0.87033),
        ([RIGHT], 0.16770, 0.44621),
        ([LIKELY, UNIFORM, WRONG], 0.83148, 0.35317),
    ],
)
def test_the_worked_numbers_of_the_sheet(ask, script, distributions, entropy, score) -> None:
    found = ask(Upd(), ROW, script({("Say it.", "yes"): [told(*distributions)]}))
    assert found["score"] == pytest.approx(score, abs=1e-4)
    assert found["entropy"] == pytest.approx(entropy, abs=1e-4)
    assert found["n_scored"] == len(distributions)
    assert "flags" not in found


def test_what_was_foreseen_gives_one_half_and_nothing_gives_one(ask, script) -> None:
    foreseen, absurd = Entropies([0.0], [0.0], 4, 9, 1), Entropies([-30.0], [0.0], 4, 9, 1)
    assert ask(Upd(), ROW, script({"yes": [foreseen]}))["score"] == 0.5
    assert 0.99 < ask(Upd(), ROW, script({"yes": [absurd]}))["score"] < 1


def test_the_exponent_belongs_to_the_logarithm(ask, script) -> None:
    found = ask(Upd(beta=2.0), ROW, script({"yes": [told(LIKELY)]}))
    assert found["score"] == pytest.approx((1 - 0.940447 / log(4) ** 2) / 1.7, abs=1e-4)


def test_entropies_between_bounds_are_flagged_and_bound_the_score(ask, script) -> None:
    likeliest = [log(p) for p in LIKELY[:2]]
    low, high = bounds(likeliest, 4)
    assert low < -sum(p * log(p) for p in LIKELY) == pytest.approx(high), "the rest is uniform"
    made = Entropies([log(0.7)], [(low + high) / 2], 4, 9, 1, [(high - low) / 2])
    found = ask(Upd(), ROW, script({"yes": [made]}))
    assert found["low"] == pytest.approx(0.18918, abs=1e-4)
    assert found["high"] == pytest.approx((1 - low / log(4)) / 1.7, abs=1e-4)
    assert found["score"] == pytest.approx((found["low"] + found["high"]) / 2)
    assert found["flags"] == ["entropy_approx"]
    exact = ask(Upd(), ROW, script({"yes": [told(LIKELY)]}))
    assert exact["low"] == exact["high"] == exact["score"]


def test_all_tokens_of_all_answers_count_the_same(ask, script) -> None:
    said = [("user", "One?"), ("assistant", "first"), ("user", "Two?"), ("assistant", "second")]
    engine = script({("One?", "first"): [told(LIKELY, UNIFORM)], ("Two?", "second"): [told(WRONG)]})
    row = {"messages": [{"role": role, "content": content} for role, content in said]}
    assert ask(Upd(), row, engine)["score"] == pytest.approx(0.35317, abs=1e-4)


def test_what_cannot_be_scored_is_null_and_says_why(ask, script) -> None:
    found = ask(Upd(), {**ROW, "output": ""}, script({"Say it.": [Entropies([], [], 4, 9, 0)]}))
    assert (found["score"], found["entropy"], found["nll"]) == (None, None, None)
    assert found["flags"] == ["empty_response"]
    engine = script({"yes": [PromptTooLong("9 > 8")]})
    assert ask(Upd(), ROW, engine)["flags"] == ["prompt_too_long"]
    found = ask(Upd(), ROW, script({"yes": [told(LIKELY, n_response=2)]}))
    assert (found["n_scored"], found["flags"]) == (1, ["truncated"])
