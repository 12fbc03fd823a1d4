from gristmill.text.words import STOP_WORDS, words


def test_words_lose_case_and_punctuation_but_keep_apostrophes() -> None:
    assert words("Don't -- Über\u2019s 3.5, x_1!") == ["don't", "über's", "3", "5", "x_1"]


def test_stop_words_are_words_as_they_are_compared() -> None:
    assert all(words(word) == [word] for word in STOP_WORDS)
