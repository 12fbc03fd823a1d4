"""k-center: every next centre is the point farthest from the centres so far.

Source: Gonzalez, "Clustering to minimize the maximum intercluster distance" (1985): the radius
is at most twice the best possible.

Exact, and fast because it is lazy. Distances to the nearest centre only fall as centres are
added, so an old distance is an upper bound. The points with the largest bounds are brought up to
date together, in one matrix product, and as long as the farthest of them is farther than every
bound outside it is the farthest of all: most centres are picked from a block that stays in the
processor's cache. Memory is O(n + k d); a pass over all points per centre is the worst case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gristmill.geometry.vectors import Array

BLOCK = 1024
"""Points brought up to date together: 1,024 of 384 numbers are 1.5 MB, a core's own cache."""
CHUNK = 1 << 24
"""Distances computed at once: 64 MB."""

Indices = np.ndarray[Any, np.dtype[np.int64]]
Numbers = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Centers:
    """The picks, best first."""

    picks: Indices
    """(m,) int64, m <= k: fewer when every other point lies on a centre."""
    distances: np.ndarray[Any, np.dtype[np.float64]]
    """(m,) Euclidean distance to the nearest centre when picked, times the point's weight; never
    increasing. The first is infinite where there was none."""
    radius: float
    """Largest distance of any point to its nearest centre in the end, times its weight."""
    evaluated: int = 0
    """Distances computed; the textbook computes one per point and centre."""


def k_center(
    points: Array,
    k: int,
    start: Literal["mean", "first"] | int = "mean",
    selected: Sequence[int] = (),
    weights: Numbers | None = None,
) -> Centers:
    """Pick up to `k` points, (n, d) float32 -> (m,) int64; ties go to the lowest index.

    Args:
        points: Any scale; for cosine distance give vectors of unit length.
        k: How many to pick besides those in `selected`.
        start: The first pick where nothing is selected: the point nearest to the mean, index 0,
            or an index.
        selected: Points that are centres already; they are not picked again.
        weights: (n,) float64, 0 and more, that distances are multiplied by; 1 each by default. Of
            equal points only the first is ever picked, so give the heaviest first.
    """
    points = np.ascontiguousarray(points, np.float32)
    if not len(points):
        return Centers(np.empty(0, np.int64), np.empty(0), 0.0)
    greedy = _Greedy(points, weights)
    for index in selected:
        greedy.add(int(index))
    picks: list[int] = []
    distances: list[float] = []
    if k > 0 and not len(selected):
        picks.append(_first(points, start))
        distances.append(float("inf"))
        greedy.add(picks[0])
    while len(picks) < k and (found := greedy.farthest()):
        picks.append(found[0])
        distances.append(found[1])
        greedy.add(found[0])
    if not greedy.centers:
        return Centers(np.empty(0, np.int64), np.empty(0), float("inf"))
    left = greedy.farthest()
    # Rounding may let a later distance exceed an earlier one in the last digit.
    falling = np.minimum.accumulate(np.array(distances, np.float64))
    radius = left[1] if left else 0.0
    return Centers(np.array(picks, np.int64), falling, radius, greedy.evaluated)


class _Greedy:
    """Points, upper bounds of their squared weighted distances, and the centres each has seen.

    A centre, and a copy of an earlier point, has the bound -1: it is never farthest.
    """

    def __init__(self, points: Array, weights: Numbers | None) -> None:
        self.points = points
        self.weights = weights
        self.worth = None if weights is None else _squared(weights)
        self.squares = np.einsum("ij,ij->i", points, points)  # (n,)
        self.original = _originals(points)  # (n,)
        self.bounds = np.full(len(points), np.inf, np.float32)  # (n,)
        self.bounds[self.original != np.arange(len(points))] = -1
        self.seen = np.zeros(len(points), np.int64)
        self.centers: list[int] = []
        self.chosen = np.empty((64, points.shape[1]), np.float32)
        """The centres' points, with room for more."""
        self.block: Indices = np.empty(0, np.int64)
        """Points kept up to date, in order of index."""
        self.inside = self.points[:0]
        self.near = self.bounds[:0]
        """The block's points and squared distances."""
        self.block_seen = 0
        self.evaluated = 0
        self.outside = -1.0
        """The largest bound that is not in the block."""

    def add(self, index: int) -> None:
        """Make a point a centre."""
        index = int(self.original[index])
        if len(self.centers) == len(self.chosen):
            self.chosen = np.concatenate([self.chosen, np.empty_like(self.chosen)])
        self.chosen[len(self.centers)] = self.points[index]
        self.centers.append(index)
        if len(self.centers) == 1:  # every point needs a first bound
            found = self._nearest(self.points, np.arange(len(self.points)), range(1))
            self.bounds, self.seen[:] = np.minimum(self.bounds, found), 1
        self.bounds[index] = -1
        place = np.searchsorted(self.block, index)
        if place < len(self.block) and self.block[place] == index:
            self.near[place] = -1

    def farthest(self) -> tuple[int, float] | None:
        """Return the farthest point and its distance; None when every point is on a centre."""
        while True:
            if len(self.block):
                self._catch_up()
                place = np.argmax(self.near)
                if self.near[place] > self.outside:
                    index = int(self.block[place])
                    return index, self._distance(index)
            if not self._next_block():
                return None

    def _catch_up(self) -> None:
        """Let the block see the centres that were added since it was opened."""
        new = range(self.block_seen, len(self.centers))
        if new:
            found = self._nearest(self.inside, self.block, new)
            self.near = np.minimum(self.near, found)
            self.block_seen = len(self.centers)

    def _next_block(self) -> bool:
        """Open the points with the largest bounds, in order of index; ties come in together."""
        self.bounds[self.block], self.seen[self.block] = self.near, self.block_seen
        n = len(self.bounds)
        least = np.partition(self.bounds, n - BLOCK)[n - BLOCK] if n > BLOCK else 0
        inside = self.bounds >= max(least, 0)
        block = np.flatnonzero(inside)
        rest = self.bounds[~inside]
        self._open(block, float(rest.max()) if len(rest) else -1.0)
        return len(block) > 0

    def _open(self, block: Indices, outside: float) -> None:
        self.block, self.outside = block, outside
        self.inside = self.points if len(block) == len(self.points) else self.points[block]
        self.near, total = self.bounds[block], len(self.centers)
        for seen in np.unique(self.seen[block]):
            behind = self.seen[block] == seen
            if seen < total:
                found = self._nearest(self.inside[behind], block[behind], range(seen, total))
                self.near[behind] = np.minimum(self.near[behind], found)
        self.block_seen = total

    def _nearest(self, points: Array, indices: Indices, centers: range) -> Array:
        """Return the squared distance to the nearest of some centres, in bounded memory."""
        self.evaluated += len(points) * len(centers)
        chosen = self.chosen[centers.start : centers.stop]
        norms = self.squares[self.centers[centers.start : centers.stop]]
        step = max(1, CHUNK // len(centers))
        nearest: Array = np.empty(len(points), np.float32)
        for i in range(0, len(points), step):
            dots = points[i : i + step] @ chosen.T
            nearest[i : i + step] = (norms[None] - 2 * dots).min(axis=1)
        nearest += self.squares[indices]
        near = nearest.clip(min=0)
        return near if self.worth is None else near * self.worth[indices]

    def _distance(self, index: int) -> float:
        """Return the weighted distance to the nearest centre, without `_nearest`'s cancellation."""
        total = len(self.centers)
        point, chosen = self.points[index], self.chosen[:total]
        near = self.squares[self.centers] - 2 * (chosen @ point)
        close = chosen[near <= near.min() + 1e-5 * (1 + self.squares[index])]
        found = float(np.linalg.norm(close.astype(np.float64) - point, axis=1).min())
        return found if self.weights is None else found * float(self.weights[index])


def _squared(weights: Numbers) -> Array:
    """Return squares in proportion, (n,) -> (n,) float32, of which the largest is at most 1.

    Weights as they are may be too large, or too small, for a square in float32.
    """
    scaled = np.ldexp(weights, -int(np.frexp(weights.max(initial=0))[1]))  # a power of 2: exact
    squares: Array = (scaled**2).astype(np.float32)
    return squares


def _originals(points: Array) -> Indices:
    """Return for every point the first that equals it, itself included: (n, d) -> (n,)."""
    rng = np.random.default_rng(0)
    factors = rng.integers(1, 2**63, points.shape[1], dtype=np.uint64) | np.uint64(1)
    names = np.empty(len(points), np.uint64)
    for i in range(0, len(points), BLOCK):
        bits = (points[i : i + BLOCK] + np.float32(0)).view(np.uint32)  # -0.0 equals 0.0
        names[i : i + BLOCK] = (bits.astype(np.uint64) * factors).sum(axis=1, dtype=np.uint64)
    _, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    originals = first[inverse].astype(np.int64)
    copies = np.flatnonzero(originals != np.arange(len(points)))
    for i in range(0, len(copies), BLOCK):  # equal names are equal points, but for a collision
        part = copies[i : i + BLOCK]
        same = (points[part] == points[originals[part]]).all(axis=1)
        originals[part[~same]] = part[~same]
    return originals


def _first(points: Array, start: Literal["mean", "first"] | int) -> int:
    if start != "mean":
        return 0 if start == "first" else start
    apart = points - points.mean(axis=0, dtype=np.float64)
    return int(np.argmin(np.einsum("ij,ij->i", apart, apart)))
