import pytest

from gristmill.text.like_texts import FEW, LikeTexts, Text, bands, nearest


def by_words(threshold: float = 0.5) -> LikeTexts:
    return LikeTexts(threshold, lambda text: iter(text.split()))


def test_a_text_that_is_added_becomes_like_those_before_it_and_they_like_it() -> None:
    texts = by_words()
    first = texts.find("a b c")
    assert texts.alike(first) == {}
    texts.add(first, 4)
    second = texts.find("a b c d")
    assert texts.alike(second) == {first: 0.75}
    texts.add(second, 7)
    assert texts.alike(first) == {first: 1.0, second: 0.75}
    assert texts.find("a b c") is first
    assert texts.alike(texts.find("x y")) == {}


def test_texts_that_say_nothing_are_alike() -> None:
    texts = by_words()
    texts.add(texts.find(""), 0)
    texts.add(texts.find(" "), 1)
    texts.add(texts.find("a"), 2)
    assert [text.places for text in texts.alike(texts.find("  "))] == [[0], [1]]
    assert texts.share(texts.find(""), texts.find("\n")) == 1.0
    assert texts.share(texts.find(""), texts.find("a")) == 0.0


def test_the_first_of_equally_near_places_wins() -> None:
    texts = by_words()
    text = texts.find("a b")
    texts.add(text, 2)
    texts.add(text, 5)
    assert nearest([texts], [text], {2: [text], 5: [text]}) == (1.0, 2)


def test_many_places_are_found_by_the_field_that_has_fewest() -> None:
    fields, at = [by_words(), by_words()], dict[int, list[Text]]()
    for place in range(3 * FEW):
        at[place] = [fields[0].find("the same"), fields[1].find(f"a b c d {place}")]
        for known, text in zip(fields, at[place], strict=True):
            known.add(text, place)
    row = [fields[0].find("the same"), fields[1].find(f"a b c d {FEW} x")]
    assert nearest(fields, row, at) == (5 / 6, FEW)
    other = [fields[0].find("the same"), fields[1].find("e f")]
    assert nearest(fields, other, at) == (0.0, 0)


@pytest.mark.parametrize(("threshold", "n"), [(0.5, 125), (0.7, 50), (0.9, 25), (1.0, 1)])
def test_bands_follow_the_threshold(threshold, n) -> None:
    assert bands(threshold) == n
