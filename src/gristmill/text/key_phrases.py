"""Key phrases: the words between words that say nothing, ranked by the company they keep.

Source: Rose et al., "Automatic Keyword Extraction from Individual Documents" (RAKE, 2010): a word
weighs degree / frequency, a phrase the sum of its words.
Differs from the paper: phrases of more than `longest` words are cut into their last ones, and equal
ones are ordered by spelling.
"""

from __future__ import annotations

import re
from collections import Counter

from gristmill.text.words import STOP_WORDS, words

BREAK = re.compile(r"[^\w\s'\u2019-]+|[\n\r]+")
"""Punctuation ends a phrase."""


def key_phrases(text: str, n: int, longest: int = 3) -> list[str]:
    """Return the `n` heaviest phrases of a text, case-folded, heaviest first."""
    phrases = [phrase[-longest:] for part in BREAK.split(text) for phrase in _phrases(part)]
    often = Counter(word for phrase in phrases for word in phrase)
    degree = Counter[str]()
    for phrase in phrases:
        for word in phrase:
            degree[word] += len(phrase)
    weights = {
        " ".join(phrase): sum(degree[word] / often[word] for word in phrase) for phrase in phrases
    }
    return sorted(weights, key=lambda phrase: (-round(weights[phrase], 9), phrase))[:n]


def _phrases(text: str) -> list[list[str]]:
    """Split at words that say nothing, and at single letters and numbers."""
    found: list[list[str]] = [[]]
    for word in words(text):
        if word in STOP_WORDS or len(word) < 2 or word.isdigit():
            found.append([])
        else:
            found[-1].append(word)
    return [phrase for phrase in found if phrase]
