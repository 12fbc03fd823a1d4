"""How far a model ranks candidates otherwise than their scores do.

Source: the ranking loss of RTLCoder (Liu et al., arXiv:2312.08617), which ITERTL (arXiv:2407.12022,
section 3) trains with; written from the formula.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

GAP, MARGIN = 0.2, 0.3
"""Between scores, above which a pair counts; between shares, which it should have."""
NEAR = 1e-9
"""0.3 - 0.1 is 0.19999999999999998: a gap of 0.2 is none above it."""


def shares(log_probs: Sequence[float]) -> list[float]:
    """Return exp(x_i) / sum exp(x_k) of mean log-probabilities per token, (k,) -> (k,)."""
    top = max(log_probs, default=0.0)
    weights = [math.exp(value - top) for value in log_probs]
    return [weight / sum(weights) for weight in weights]


def ranking_loss(log_probs: Sequence[float], scores: Sequence[float]) -> float:
    """Return the sum of 0.3 - (s_b - s_a) over pairs where it is above 0, (k,), (k,) -> 0 and up.

    Pairs are those with r_b - r_a above 0.2. Lower is better. O(k^2).
    """
    found = shares(log_probs)
    pairs = product(zip(found, scores, strict=True), repeat=2)
    return sum(
        max(0.0, MARGIN - (s_b - s_a)) for (s_a, r_a), (s_b, r_b) in pairs if r_b - r_a > GAP + NEAR
    )
