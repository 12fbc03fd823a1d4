"""Places of the right things in a ranking, and how good a ranking is by them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations

import numpy as np

from gristmill.geometry.vectors import Array


def places(query: Array, things: Array, right: Collection[int]) -> list[int]:
    """Return the places, from 1, of the right things by inner product; (d,), (n, d) -> ascending.

    Of equal ones the first in order comes first.
    """
    order = np.argsort(-(things @ query), kind="stable").tolist()
    return sorted(order.index(i) + 1 for i in right)


def recall(found: Sequence[int], k: int) -> float:
    """Return the share (0..1) of the right things among the first k; higher is better."""
    return sum(place <= k for place in found) / len(found)


def is_sufficient(found: Sequence[int], k: int) -> bool:
    """Say whether all right things are among the first k; its mean is Sufficiency@k."""
    return max(found) <= k


def gain(found: Sequence[int]) -> float:
    """Return the normalised discounted gain (0..1) of a ranking; 1 has what is right in front."""
    best = sum(1 / np.log2(1 + place) for place in range(1, len(found) + 1))
    return float(sum(1 / np.log2(1 + place) for place in found) / best)


def most_alike(some: Sequence[int], things: Array, least: float) -> tuple[int, ...]:
    """Return the two of some things whose inner product is largest, if it is `least` or more.

    The first in order wins among equals; O(k^2 d) for k things of (n, d).
    """
    pairs = [(float(things[i] @ things[j]), (i, j)) for i, j in combinations(some, 2)]
    best = max(pairs, key=lambda one: one[0], default=(-np.inf, ()))
    return best[1] if best[0] >= least else ()
