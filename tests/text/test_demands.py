"""What turns a demand on the form of an answer round."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.text.demands import turning


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Use at least five commas.", "Use at most five commas."),
        ("Use five commas.", "Use six commas."),
        ("Use 5 commas.", "Use 50 commas."),
        ("Write in upper case.", "Write in lower case."),
        ("Start with a question.", "End with a question."),
        ("Leave out the letter z.", "Leave out the letter e."),
        ('Never write "?".', 'Never write "!".'),
        ("Say 'oak' first.", "Say 'elm' first."),
        ("Use the letter e.", "Do not use the letter e."),
        ("Begin each line with the same word.", "Begin each line with the same letter."),
    ],
)
def test_one_word_more_or_another_one_is_another_demand(one, other) -> None:
    assert turning(one) != turning(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Use no comma.", "Avoid commas entirely."),
        ("Use exactly 20 words.", "Write precisely twenty words."),
        ("End with a question.", "Finish your response with a question."),
        ("Only words of at most six letters.", "Only words of six letters or fewer."),
        ("Say “oak” first.", 'Begin with "Oak".'),
        ("Put one comma.", "Put a comma."),
    ],
)
def test_the_same_in_other_words_stays_the_same(one, other) -> None:
    assert turning(one) == turning(other)


@given(st.text())
def test_any_text_can_be_read(text) -> None:
    assert turning(text) == turning(text + " ")
