"""Which of several programs for one task behaves most as the others do.

Source: Chen et al., "Divide-and-Conquer Meets Consensus", arXiv:2405.20092, section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence

from gristmill.engines.sandbox.program import Verdict
from gristmill.engines.sandbox.values import form

Values = Sequence[str | None]
"""What a program gives for each input, as a text that equal values share; None for no value."""


def steady(runs: Sequence[Verdict], n: int) -> list[str | None]:
    """Return the value of each of n calls as a text, None where there is none or not always one."""
    forms = [[form(value) for value in run.values or [None] * n] for run in runs]
    seen = [{found[i] for found in forms} for i in range(n)]
    return [kinds.pop() if len(kinds) == 1 else None for kinds in seen]


def consensus(values: Sequence[Values]) -> list[float]:
    """Return each candidate's sum of similarities to the others; None equals nothing."""
    return [
        sum(similarity(mine, theirs) for j, theirs in enumerate(values) if j != i)
        for i, mine in enumerate(values)
    ]


def similarity(left: Values, right: Values) -> float:
    """Return the share (0..1) of the inputs on which both give the same."""
    return sum(a is not None and a == b for a, b in zip(left, right, strict=True)) / len(left)


def winner(scores: Sequence[float], lengths: Sequence[int]) -> int | None:
    """Return the candidate with most agreement, the shortest of equals; None when none agree."""
    best = min(range(len(scores)), key=lambda i: (-scores[i], lengths[i], i))
    return best if scores[best] > 0 else None
