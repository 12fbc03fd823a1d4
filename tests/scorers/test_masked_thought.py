from math import sqrt

import pytest

from gristmill.scorers.masked_thought import MaskedThought, positions, rate_at


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0.0), (330, 0.199697), (660, 0.399395), (661, 0.4), (1000, 0.4)]
)
def test_the_rate_grows_over_two_thirds_of_the_steps(step, rate) -> None:
    assert rate_at(step, 1000, 0.4) == pytest.approx(rate, abs=1e-6)


def test_a_row_says_rate_schedule_seed_and_replacement(ask, script) -> None:
    found = ask(MaskedThought(rate=0.2, replace="random"), {"output": "One."}, script({}))
    assert (found["rate"], found["schedule"], found["replace"]) == (0.2, "linear", "random")
    assert 0 <= found["seed"] < 2**31
    assert found == ask(MaskedThought(rate=0.2, replace="random"), {"output": "Two."}, script({}))
    other = ask(MaskedThought(rate=0.2), {"output": "One."}, script({}), seed=1)
    assert other["seed"] != found["seed"]


def test_a_row_without_a_response_has_no_mask(ask, script) -> None:
    found = ask(MaskedThought(), {"output": " "}, script({}))
    assert set(found.values()) == {None}


def test_only_the_response_is_hidden_at_the_rate_and_anew_in_every_epoch() -> None:
    n, rate = 100_000, 0.4
    hidden = positions(50, 50 + n, rate, seed=7, epoch=0)
    assert min(hidden) >= 50
    assert max(hidden) < 50 + n
    assert abs(len(hidden) / n - rate) < 3 * sqrt(rate * (1 - rate) / n)
    assert hidden == positions(50, 50 + n, rate, seed=7, epoch=0)
    assert hidden != positions(50, 50 + n, rate, seed=7, epoch=1)
    assert positions(3, 9, 0.0, 1, 1) == []
    assert positions(3, 6, 1.0, 1, 1) == [3, 4, 5]
