import pytest

from gristmill.text.consensus import choose, pair_rates


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        (["Paris.", "paris", "London"], (0, "exact_first")),
        (["Paris.", "London", "paris"], (0, "exact_first")),
        (["A", "B!", "b"], (1, "exact_others")),
        (["red", "green", "blue"], None),
        (["a b", "b a", "c d"], None),
        (["", "", ""], None),
    ],
)
def test_two_that_agree_decide(answers, found) -> None:
    assert choose(answers, pair_rates(answers)) == found


def test_otherwise_the_one_most_like_both_others_stays() -> None:
    # Sums of the pairs: 0.6 + 0.5, 0.6 + 0.2, 0.5 + 0.2.
    assert choose(["a", "b", "c"], [0.6, 0.5, 0.2]) == (0, "rouge")
    assert choose(["a", "b", "c"], [0.2, 0.6, 0.5]) == (2, "rouge")
    assert choose(["a", "b", "c"], [0.5, 0.2, 0.6]) == (1, "rouge")
    assert choose(["a", "b", "c"], [0.5, 0.5, 0.5]) == (0, "rouge"), "of equals the first"
    assert choose(["a", "b", "c"], [0.9, 0.9, 0.01]) is None
    assert choose(["a", "b", "c"], [0.9, 0.9, 0.011]) == (0, "rouge")


def test_pairs_are_01_02_and_12() -> None:
    assert pair_rates(["a b", "a c", "c d"]) == [0.5, 0.0, 0.5]
