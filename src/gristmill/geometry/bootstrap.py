"""Intervals of confidence for a difference of means, by drawing again what was measured.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentiles);
both seeds and rows are drawn, because another seed would have given another training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gristmill.geometry.picks import Numbers

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean and where it would lie in 95 of 100 repetitions."""

    mean: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """-1 or 1 where the interval leaves 0 out, else 0."""
        return int(self.low > 0) - int(self.high < 0)


def paired(first: Numbers, second: Numbers, seed: int = 0) -> Interval:
    """Return the mean of `first - second`, measured on the same rows: (s, r), (s, r) seeds by rows.

    With few seeds the interval is too narrow rather than too wide: five of them say little about
    how trainings spread.
    """
    if first.shape != second.shape or not first.size:
        raise ValueError(f"expected two equal shapes with numbers, found {first.shape} and "
                         f"{second.shape}")  # fmt: skip
    gaps, rng = first - second, np.random.default_rng(seed)
    n_seeds, n_rows = gaps.shape
    seeds = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), DRAWS) / n_seeds
    by_row = seeds @ gaps
    means = np.empty(DRAWS)
    for i in range(DRAWS):  # one draw of rows at a time: (2000, r) counts would not fit in memory
        means[i] = by_row[i, rng.integers(0, n_rows, n_rows)].mean()
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(gaps.mean()), float(low), float(high))
