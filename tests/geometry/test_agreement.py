import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.geometry.agreement import agreement


def test_a_worked_kappa() -> None:
    # Cohen's formula by hand: p_o = 0.7, p_e = 0.5 * 0.6 + 0.5 * 0.4 = 0.5.
    judged = ["a"] * 25 + ["a"] * 25 + ["b"] * 50
    labels = ["a"] * 40 + ["b"] * 10 + ["a"] * 20 + ["b"] * 30
    found = agreement(judged, labels)
    assert found.rate == pytest.approx(0.7)
    assert found.kappa.mean == pytest.approx(0.4)
    assert 0.1 < found.kappa.low < 0.4 < found.kappa.high < 0.7


@pytest.mark.parametrize(
    ("judged", "labels", "kappa"),
    [
        ("aabbcc", "aabbcc", 1.0),
        ("aaaa", "aaaa", 1.0),
        ("aaaa", "abab", 0.0),
        ("abab", "baba", -1.0),
        ("aaabbbccc", "abcabcabc", 0.0),
    ],
)
def test_kappa_at_its_ends(judged, labels, kappa) -> None:
    assert agreement(list(judged), list(labels)).kappa.mean == pytest.approx(kappa)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1), st.data())
def test_the_order_of_the_rows_says_nothing(pairs, data) -> None:
    mixed = data.draw(st.permutations(pairs))
    judged, labels = zip(*pairs, strict=True)
    found = agreement(judged, labels)
    assert found == agreement(*zip(*mixed, strict=True))
    assert found.kappa.mean == pytest.approx(agreement(labels, judged).kappa.mean)
    assert -1 <= found.kappa.low <= found.kappa.high <= 1


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(ValueError, match="expected two opinions on some rows, found 1, 0"):
        agreement(["a"], [])
