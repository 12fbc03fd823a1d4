from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.text.like_texts import FEW, Buckets, LikeTexts, Text, bands, maybe_alike, nearest
from gristmill.text.shingles import shingles


def by_words(*texts: str, threshold: float = 0.5) -> LikeTexts:
    return LikeTexts(threshold, shingles(texts, "words", 1))


def test_a_text_that_is_added_becomes_like_those_before_it_and_they_like_it() -> None:
    texts = by_words("a b c", "a b c d", "A, B, C!", "x y")
    first, second = texts[0], texts[1]
    assert texts.alike(first) == {}
    texts.add(first, 4)
    assert texts.alike(second) == {first: 0.75}
    texts.add(second, 7)
    assert texts.alike(first) == {first: 1.0, second: 0.75}
    assert texts[2] is first
    assert texts.alike(texts[3]) == {}


def test_texts_that_say_nothing_are_alike() -> None:
    texts = by_words("", "a", "\n")
    texts.add(texts[0], 0)
    texts.add(texts[1], 2)
    assert [text.places for text in texts.alike(texts[2])] == [[0]]
    assert texts.share(texts[0], texts[2]) == 1.0
    assert texts.share(texts[0], texts[1]) == 0.0


def test_the_first_of_equally_near_places_wins() -> None:
    texts = by_words("a b")
    text = texts[0]
    texts.add(text, 2)
    texts.add(text, 5)
    assert nearest([texts], [text], {2: [text], 5: [text]}) == (1.0, 2)


def test_many_places_are_found_by_the_field_that_has_fewest() -> None:
    n = 3 * FEW
    same = by_words(*["the same"] * (n + 2))
    other = by_words(*(f"a b c d {i}" for i in range(n)), f"a b c d {FEW} x", "e f")
    fields, at = [same, other], dict[int, list[Text]]()
    for place in range(n):
        at[place] = [field[place] for field in fields]
        for known, text in zip(fields, at[place], strict=True):
            known.add(text, place)
    assert nearest(fields, [field[n] for field in fields], at) == (5 / 6, FEW)
    assert nearest(fields, [field[n + 1] for field in fields], at) == (0.0, 0)


def test_only_texts_that_share_a_band_or_all_are_looked_at_again() -> None:
    texts = ["a b c d", "k l", "a b c d e", "", "g h", "G, h", "i"]
    maybe = maybe_alike(shingles(texts, "words", 1), 0.5)
    assert maybe.tolist() == [True, False, True, False, True, True, False]
    assert maybe_alike(shingles(["", "\n", "a"], "words", 1), 0.5).tolist() == [True, True, False]
    assert maybe_alike(shingles([], "words", 1), 0.5).tolist() == []


@pytest.mark.parametrize(("threshold", "n"), [(0.5, 64), (0.7, 32), (0.9, 16), (1.0, 1)])
def test_bands_follow_the_threshold(threshold, n) -> None:
    assert bands(threshold) == n


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 3)), max_size=12),
    st.randoms(use_true_random=False),
)
def test_buckets_hold_what_was_added_and_shares_a_band(rows, random) -> None:
    keys = np.array(rows, np.uint64).reshape(-1, 3)
    buckets, added = Buckets(keys), list[int]()
    for text in random.sample(range(len(rows)), len(rows)):
        shared = Counter({other: sum(keys[text] == keys[other]) for other in added})
        assert Counter(buckets.near(text)) == +shared
        buckets.add(text)
        added.append(text)
