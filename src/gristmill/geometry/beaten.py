"""Shares of others that are beaten: scores without a common unit made comparable."""

from __future__ import annotations

import numpy as np

from gristmill.geometry.picks import Numbers


def beaten(values: Numbers) -> Numbers:
    """Return which share of the others each number beats, (n,) -> (n,) float64, 0 to 1.

    Equals beat half of each other; a number alone has 1, since nothing is better. NaN stays NaN,
    and is nobody's other.
    """
    there = np.isfinite(values)
    found = np.full(len(values), np.nan)
    n = int(there.sum())
    _, of, counts = np.unique(values[there], return_inverse=True, return_counts=True)
    before = np.cumsum(counts) - counts
    found[there] = (before + (counts - 1) / 2)[of] / (n - 1) if n > 1 else 1.0
    return found
