"""Refusals: replies that decline, or say nothing, instead of answering."""

from __future__ import annotations

from typing import Literal

from gristmill.text.words import STOP_WORDS, first_words, words

NON_ANSWERS = frozenset({"refusal", "no_content"})
"""The ways in which a text is no answer."""


def non_answer(text: str, sorry_below: int = 80) -> Literal["refusal", "no_content"] | None:
    """Name the way in which a text is no answer, or None.

    `refusal`: it says "sorry" and has fewer than `sorry_below` words, as Evol-Instruct counts
    it. `no_content`: it has nothing but punctuation and stop words.
    """
    found = first_words(text, sorry_below)
    if "sorry" in found and len(found) < sorry_below:
        return "refusal"
    says_nothing = STOP_WORDS.issuperset(found) and STOP_WORDS.issuperset(words(text))
    return "no_content" if says_nothing else None
