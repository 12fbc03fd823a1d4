"""Several judgements of one answer, each an explanation with a final yes or no, taken together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

FINAL = re.compile(r"Final Judge?ment\W*?\b(Yes|No)\b", re.IGNORECASE)
MIN_VOTES = 3
"""Judgements that must be readable: fewer decide nothing."""


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer, the share (0..1) of judgements for it, and one of them: against it if any is."""

    text: str
    value: float
    critique: str


def judged(text: str, judgements: Iterable[str]) -> Judged | None:
    """Count the first yes or no after each heading; None where too few can be read."""
    votes = [(found[1].lower(), one) for one in judgements if (found := FINAL.search(one))]
    if len(votes) < MIN_VOTES:
        return None
    share = sum(vote == "yes" for vote, _ in votes) / len(votes)
    return Judged(text, share, min(votes)[1].strip())
