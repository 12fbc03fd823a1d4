import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.text import like_rouge
from gristmill.text.like_rouge import LikeRouge
from gristmill.text.rouge import rouge_l

WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f"]), max_size=12)


@given(
    st.lists(WORDS, max_size=25),
    st.sampled_from([0.2, 0.5, 0.6, 2 / 3, 0.7, 0.9, 1.0]),
    st.sampled_from([3, like_rouge.CODES]),
)
def test_it_finds_what_comparing_every_pair_finds(texts, threshold, characters) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(like_rouge, "CODES", characters)  # fewer than words: some texts are lists
        finds_what_comparing_every_pair_finds(texts, threshold)


def finds_what_comparing_every_pair_finds(texts: list[list[str]], threshold: float) -> None:
    known = LikeRouge(threshold, texts)
    for place, said in enumerate(texts):
        rates = [rouge_l(" ".join(texts[i]), " ".join(said)) for i in range(place)]
        best = max((rate for rate in rates if rate >= threshold), default=0.0)
        wanted = (best, rates.index(best) if best else -1)
        assert known.nearest(said) == wanted
        known.add(said, place)


@given(WORDS, WORDS)
def test_words_that_it_never_counted_are_found_as_well(first, second) -> None:
    known = LikeRouge(0.5, [])
    known.add(first, 3)
    rate = rouge_l(" ".join(first), " ".join(second))
    assert known.nearest(second) == ((rate, 3) if rate >= 0.5 else (0.0, -1))


def test_texts_without_a_rare_word_in_common_are_not_compared() -> None:
    texts = [["name", "a", f"thing{i}", f"of{i}"] for i in range(50)]
    known = LikeRouge(0.7, texts)
    for place, said in enumerate(texts):
        known.add(said, place)
    assert max(map(len, known.by_token.values())) == 1


@pytest.mark.parametrize("said", [[], ["a"]])
def test_a_text_of_few_words_is_like_itself_alone(said) -> None:
    known = LikeRouge(0.7, [said])
    known.add(said, 0)
    assert known.nearest(["b"]) == (0.0, -1)
    assert known.nearest(said) == ((1.0, 0) if said else (0.0, -1))
