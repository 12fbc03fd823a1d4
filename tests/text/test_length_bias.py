"""How often the longer answer wins, by how much longer it is."""

import pytest

from gristmill.text.length_bias import by_length, measured


def rates(*judged):
    return {one["difference"]: (one["pairs"], one["longer_wins"]) for one in by_length(judged)}


@pytest.mark.parametrize(
    ("shorter", "difference"),
    [
        (91, "under 10 %"), (90, "10 to 25 %"), (76, "10 to 25 %"), (75, "25 to 50 %"),
        (51, "25 to 50 %"), (50, "50 % and more"), (0, "50 % and more"),
    ],
)  # fmt: skip
def test_a_pair_stands_where_its_difference_is(shorter, difference) -> None:
    assert rates((100, shorter, "chosen")) == {difference: (1, 1.0)}
    assert rates((shorter, 100, "chosen")) == {difference: (1, 0.0)}


def test_a_tie_is_half_a_win_and_equal_lengths_say_nothing() -> None:
    judged = [(9, 2, "chosen"), (2, 9, "rejected"), (9, 2, "rejected"), (9, 2, "tie")]
    assert rates(*judged, (5, 5, "chosen"), (9, 2, "none")) == {"50 % and more": (4, 0.625)}
    assert rates((5, 5, "tie")) == {}


def test_a_judge_that_always_likes_the_longer_one_shows() -> None:
    judged = [(a, b, "chosen" if a > b else "rejected") for a, b in [(9, 8), (8, 9), (99, 3)]]
    assert rates(*judged) == {"10 to 25 %": (2, 1.0), "50 % and more": (1, 1.0)}


def test_an_answer_that_is_missing_has_no_length() -> None:
    assert measured("ab", None) == {"chosen_chars": 2, "rejected_chars": 0}
