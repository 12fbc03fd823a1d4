"""Facility location: picks such that every point has a pick that it is like.

Source: Nemhauser, Wolsey and Fisher, "An analysis of approximations for maximizing submodular set
functions" (1978): greedy reaches 1 - 1/e of the best; Minoux (1978) evaluates gains lazily.

f(S) = sum over i of w_i * max over j in S of similarity(i, j), on a sparse graph: what is not an
edge is a similarity of 0. Gains only fall as picks are added, so a gain computed earlier is an
upper bound, and only the largest bounds are brought up to date.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np

from gristmill.geometry.knn import Graph, Indices
from gristmill.geometry.vectors import Array

Gains = np.ndarray[Any, np.dtype[np.float64]]

AT_ONCE = 32
"""Gains brought up to date together: one by one, 10,000 points and 500 picks took 0.5 s, so 0.2."""


@dataclass(frozen=True)
class Facilities:
    """The picks, best first."""

    picks: Indices
    """(min(k, n),) int64."""
    gains: Gains
    """(min(k, n),) float64, what each pick added to f; never increasing."""
    evaluated: int
    """Gains computed, the first of every point included."""

    @property
    def value(self) -> float:
        """What f is in the end."""
        return float(self.gains.sum())


def facility_location(graph: Graph, k: int, weights: Gains | None = None) -> Facilities:
    """Pick `k` points greedily, the same as plain greedy; ties go to the lowest index.

    Args:
        graph: Of n points; an edge in one direction counts in both.
        k: How many. Where nothing is left to gain the lowest indices follow, with a gain of 0.
        weights: (n,) float64, 0 and more: what it is worth to be like a point; 1 each by default.
    """
    n = len(graph.neighbours)
    weights = np.ones(n) if weights is None else weights
    edges = _symmetric(graph)
    sums = edges @ weights if n else np.empty(0)
    cover = np.zeros(n, np.float32)
    heap = [(-gain, i, 0) for i, gain in enumerate(sums.tolist())]
    heapq.heapify(heap)
    picks: list[int] = []
    gains: list[float] = []
    evaluated = n
    while heap and len(picks) < k:
        bound, i, seen = heap[0]
        if seen == len(picks) or bound == 0:
            heapq.heappop(heap)
            own = slice(edges.indptr[i], edges.indptr[i + 1])
            at = edges.indices[own]
            cover[at] = np.maximum(cover[at], edges.data[own])
            picks.append(i)
            gains.append(-bound)
            continue
        stale = list[tuple[float, int]]()
        while heap and len(stale) < AT_ONCE and heap[0][0] < 0 and heap[0][2] < len(picks):
            stale.append(heapq.heappop(heap)[:2])
        found = _gains(edges, np.array([i for _, i in stale]), cover, weights)
        for (bound, i), gain in zip(stale, found.tolist(), strict=True):
            # Rounding may let a later gain exceed an earlier bound in the last digit.
            heapq.heappush(heap, (max(-gain, bound), i, len(picks)))
        evaluated += len(stale)
    return Facilities(np.array(picks, np.int64), np.array(gains, np.float64), evaluated)


def _gains(edges: Any, rows: Indices, cover: Array, weights: Gains) -> Gains:
    """Return what each of some points would add, (m,) -> (m,); each has an edge."""
    first, lengths = edges.indptr[rows], edges.indptr[rows + 1] - edges.indptr[rows]
    ends = np.cumsum(lengths)
    flat = np.arange(ends[-1]) + np.repeat(first - (ends - lengths), lengths)
    at = edges.indices[flat]
    more = np.maximum(edges.data[flat] - cover[at], 0) * weights[at]
    found: Gains = np.add.reduceat(more, ends - lengths)
    return found


def _symmetric(graph: Graph) -> Any:
    """Return whom every point would cover and how well, (n, n) CSR: each edge in both ways."""
    from scipy.sparse import csr_array  # type: ignore[import-untyped]  # has no types

    n, k = graph.neighbours.shape
    starts = np.arange(n + 1, dtype=np.int64) * k
    one_way = csr_array((graph.similarities.ravel(), graph.neighbours.ravel(), starts), (n, n))
    return one_way.maximum(one_way.T).tocsr()
