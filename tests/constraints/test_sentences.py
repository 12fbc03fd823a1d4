import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.constraints.sentences import count_capital_words, count_sentences


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("no mark at all", 1),
        ("One. Two. Three", 3),
        ("It ends.", 1),
        ('He said "no." She left.', 2),
        ('"Hello!"', 1),
        ("(Really?) he asked.", 2),
        ("Stop!** now", 2),
        ("All done!**", 2),
        ("Wait... what", 1),
        ("Wait... The end", 2),
        ("Dr. Smith met Mr. A. Jones.", 1),
        ("He lives in the U.S. The state is large.", 2),
        ("See fig. 3 and J. Smith.", 1),
        ("Plan B. The rest", 2),
        ("1. Milk\n2. Eggs", 3),
        ("version 1. of it", 1),
        ("1.5 and 2.5", 1),
        ("a. b. c", 1),
        ("What?! Now!", 2),
        ("yahoo. is here", 2),
    ],
)
def test_sentences_are_counted_as_punkt_counts_them(text, count) -> None:
    assert count_sentences(text) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("I am HERE.", 2),
        ("IT'S mine", 2),
        ("NASA's plan", 1),
        ("DON'T", 2),
        ("CANNOT", 2),
        ("A/B and C:D, E:5", 4),
        ("[NAME] **BOLD** WELL-KNOWN", 3),
        ("X--Y..Z", 3),
        ("ÄÖ ß 12", 1),
    ],
)
def test_capital_words_are_those_of_the_treebank(text, count) -> None:
    assert count_capital_words(text) == count


PIECES = [
    *("A", "b", "Ab", "NASA", "IT'S", "CAn't", "don't", "An't", "DON'T", "-", ":", ";", "."),
    *("\u00c4", "\u00df", "\u2019", "\u3000", "\ud800", "\x1c", " ", " ", "\n", "7"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=12), st.integers(0, 400))
def test_words_counted_alone_and_words_looked_for_in_a_text_are_as_many(pieces, n) -> None:
    text = "".join(pieces)
    alone = sum(map(count_capital_words, ("X " * len(word) + word for word in text.split())))
    alone -= sum(map(len, text.split()))
    assert count_capital_words("small " * n + text) == alone
