"""Openings of revised answers: what goes, and what only looks like it."""

import pytest

from gristmill.text.openings import unannounced


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Here is the updated answer:\nA fir.", "A fir."),
        ("Sure! Here\u2019s an improved version: A fir.", "A fir."),
        ("**Thank you for the review.** Here is my revised response.\n\nA fir.", "A fir."),
        ("I apologize for that. The giant sequoia.", "The giant sequoia."),
        ("I'm sorry about the mistake! A fir.", "A fir."),
        ("My apologies: A fir.", "A fir."),
        ("Here is a list of trees: oak, ash.", "Here is a list of trees: oak, ash."),
        ("Here are the steps:\n1. Dig.", "Here are the steps:\n1. Dig."),
        ("Thankfully it rains. So it grows.", "Thankfully it rains. So it grows."),
        ("A fir. Here is the new answer: oak.", "A fir. Here is the new answer: oak."),
        ("", ""),
    ],
)
def test_only_what_an_answer_says_of_itself_goes(text, left) -> None:
    assert unannounced(text) == left


def test_a_long_opening_is_read_once() -> None:
    text = "Here is " + "answer " * 100_000
    assert unannounced(text) == text.strip()
