"""Known answers: whether a short prediction holds the right one, or an alias of it.

Source: Zhang et al., "R-Tuning", arXiv:2311.09677, section 3.1, asks for a substring.
Differs from the paper: whole words, without articles, count, and a word that denies right before
them makes it another answer: "not Paris" does not say Paris.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from math import log

from gristmill.text.turns import WholeTurn, whole
from gristmill.text.words import words

CHECK = "Is your answer based on what you know for certain?"
SURE, UNSURE = "I am sure.", "I am unsure."
ARTICLES = frozenset({"a", "an", "the"})
MINUS = re.compile(r"(?<![\w)\]}])[-\u2212][$\xa3\u20ac]?(?=\.?\d)")
"""A sign: part of its number, not of the punctuation."""
DENIALS = frozenset({"not", "no", "never", "neither", "nor", "isn't", "wasn't", "without"})
REACH = 2
"""Words before an answer among which a denial counts."""


def bare(text: str) -> list[str]:
    """Return the words of an answer without articles; -7 and 7 are two words."""
    return [word for word in words(MINUS.sub("minus", text)) if word not in ARTICLES]


def f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    """Return the harmonic mean of precision and recall of words, as bags, 0..1."""
    shared = sum((Counter(said) & Counter(wanted)).values())
    return 2 * shared / (len(said) + len(wanted)) if shared else 0.0


def is_same(said: str, wanted: str) -> bool:
    """Say whether two answers have the same words; of signs alone, whether they are the same."""
    return bare(said) == bare(wanted) if bare(wanted) else said.strip() == wanted.strip()


def is_known(prediction: str, answers: Iterable[str]) -> bool:
    """Say whether any of the answers stands in the prediction and is not denied there."""
    said = bare(prediction)
    return any(_stands(said, bare(answer)) for answer in answers)


def _stands(said: Sequence[str], answer: Sequence[str]) -> bool:
    n = len(answer)
    starts = [i for i in range(len(said) - n + 1) if n and said[i : i + n] == answer]
    return any(not DENIALS.intersection(said[max(0, i - REACH) : i]) for i in starts)


def answer_entropy(counts: Iterable[int]) -> float:
    """Return nats of the distribution of answers: 0 where all are the same, at most ln k."""
    found = [n for n in counts if n]
    return sum(-n / sum(found) * log(n / sum(found)) for n in found)


def checked(asked: str, answer: str, *, is_sure: bool) -> list[WholeTurn]:
    """Return a question, its right answer, and whether the model that learns it knew it."""
    sure = SURE if is_sure else UNSURE
    turns = [whole("user", asked), whole("assistant", answer)]
    return [*turns, whole("user", CHECK), whole("assistant", sure)]
