"""Consensus: which of three answers the other two agree with.

Source: Lee et al., "Ensemble-Instruct", arXiv:2310.13961, section 3.3; the published code.
Differs from the paper: ROUGE-L without stemming.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gristmill.text.rouge import rouge_l
from gristmill.text.words import words

LEAST = 0.01
"""ROUGE-L of a pair at or below which three answers have nothing in common."""
How = Literal["exact_first", "exact_others", "rouge"]


def pair_rates(answers: Sequence[str]) -> list[float]:
    """Return ROUGE-L of the pairs 01, 02 and 12."""
    first, second, third = answers
    return [rouge_l(first, second), rouge_l(first, third), rouge_l(second, third)]


def choose(answers: Sequence[str], rates: Sequence[float]) -> tuple[int, How] | None:
    """Return the place of the answer to keep, and why; None where they do not agree.

    Equal but for case, marks and spaces: the first if another one is, else the second. Otherwise
    the answer that is most like both others; of equals the first.
    """
    first, second, third = (words(answer) for answer in answers)
    if first and first in (second, third):
        return 0, "exact_first"
    if second and second == third:
        return 1, "exact_others"
    if min(rates) <= LEAST:
        return None
    sums = [rates[0] + rates[1], rates[0] + rates[2], rates[1] + rates[2]]
    best = max(range(3), key=lambda i: (sums[i], -i))
    return (best, "rouge") if answers[best].strip() else None
