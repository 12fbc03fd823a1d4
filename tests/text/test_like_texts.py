import pytest

from gristmill.text.like_texts import LikeTexts, bands, nearest


def test_a_text_that_is_added_becomes_like_those_before_it_and_they_like_it() -> None:
    texts = LikeTexts(0.5, lambda text: iter(text.split()))
    first = texts.find("a b c")
    assert first.alike == {}
    texts.add(first, 4)
    second = texts.find("a b c d")
    assert second.alike == {first: 0.75}
    assert nearest([second], {4: [first]}) == (0.75, 4)
    texts.add(second, 7)
    assert first.alike == {first: 1.0, second: 0.75}
    assert texts.find("a b c") is first
    assert texts.find("x y").alike == {}


def test_the_first_of_equally_near_places_wins() -> None:
    texts = LikeTexts(0.5, lambda text: iter(text.split()))
    text = texts.find("a b")
    texts.add(text, 2)
    texts.add(text, 5)
    assert nearest([text], {2: [text], 5: [text]}) == (1.0, 2)


@pytest.mark.parametrize(("threshold", "n"), [(0.5, 125), (0.7, 50), (0.9, 25), (1.0, 1)])
def test_bands_follow_the_threshold(threshold, n) -> None:
    assert bands(threshold) == n
