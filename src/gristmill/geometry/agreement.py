"""Cohen's kappa: how far two opinions on the same rows agree beyond chance, with its interval.

Source: Cohen, "A Coefficient of Agreement for Nominal Scales", Educational and Psychological
Measurement 20, 1960; percentiles of Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gristmill.geometry.bootstrap import LEVEL, Interval

DRAWS = 1000


@dataclass(frozen=True)
class Agreement:
    """How often two opinions are the same (0..1), and kappa (-1..1) with its 95 % interval."""

    rate: float
    kappa: Interval


def agreement(judged: Sequence[str], labels: Sequence[str], seed: int = 0) -> Agreement:
    """Compare two opinions on the same rows, in any order of the rows.

    Kappa is (p_o - p_e) / (1 - p_e): p_o is the share of rows on which they agree, p_e the share on
    which they would by chance. It is 1 where both always say one and the same thing. The interval
    draws the rows anew; below some fifty rows it says little.
    """
    if len(judged) != len(labels) or not labels:
        raise ValueError(f"expected two opinions on some rows, found {len(judged)}, {len(labels)}")
    names = sorted({*judged, *labels})
    place = {name: i for i, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)))
    for first, second in zip(judged, labels, strict=True):
        counts[place[first], place[second]] += 1
    n = len(labels)
    drawn = np.random.default_rng(seed).multinomial(n, counts.ravel() / n, DRAWS)
    spread = _kappa(drawn.reshape(DRAWS, *counts.shape))
    low, high = np.quantile(spread, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    mean = float(_kappa(counts[None])[0])
    return Agreement(float(np.trace(counts) / n), Interval(mean, float(low), float(high)))


def _kappa(counts: Any) -> Any:
    """Return kappa of tables of counts: (t, k, k) -> (t,) float64."""
    shares = counts / counts.sum(axis=(1, 2), keepdims=True)
    observed = np.trace(shares, axis1=1, axis2=2)
    expected = (shares.sum(axis=1) * shares.sum(axis=2)).sum(axis=1)
    is_one = expected > 1 - 1e-12
    return np.where(is_one, 1.0, (observed - expected) / np.where(is_one, 1.0, 1 - expected))
