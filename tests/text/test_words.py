from hypothesis import given
from hypothesis import strategies as st

from gristmill.text.words import STOP_WORDS, WORD, words


def test_words_lose_case_and_punctuation_but_keep_apostrophes() -> None:
    assert words("Don't -- Über\u2019s 3.5, x_1!") == ["don't", "über's", "3", "5", "x_1"]


def test_stop_words_are_words_as_they_are_compared() -> None:
    assert all(words(word) == [word] for word in STOP_WORDS)


@given(st.text(st.sampled_from("aB1_'' -.\n\x1c\u00e9"), max_size=30))
def test_plain_text_is_cut_as_any_other(text) -> None:
    assert words(text) == WORD.findall(text.casefold())
