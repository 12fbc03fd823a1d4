"""Walk points in order and keep each that is like none of those kept so far.

Source: Liu et al., arXiv:2312.15685, section 2.4, one point after the other: what is compared in
blocks is decided in turn, so that a point is never measured against a rejected one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gristmill.geometry.vectors import Array

Indices = np.ndarray[Any, np.dtype[np.int64]]
BLOCK = 512
"""Points decided together."""
CHUNK = 1 << 16
"""Kept points that a block is compared with at once: 128 MB of similarities."""


@dataclass(frozen=True)
class Walk:
    """What was kept of the m points that were looked at: all, or until there were k."""

    picks: Indices
    """(at most k,) int64 in order."""
    nearest: Indices
    """(m,) int64: for a rejected point the kept one that it is most like, else -1."""
    similarity: Array
    """(m,) float32: to the most similar point kept before; NaN for the first."""


def walk(points: Array, k: int, threshold: float) -> Walk:
    """Keep up to `k` points whose inner product with every kept one is at most `threshold`.

    (n, d) float32 of unit length, best first. O(n m d) for m kept; memory O(n d).
    """
    picks: list[int] = []
    kept = np.empty((BLOCK, points.shape[1]), np.float32)
    nearest = np.full(len(points), -1, np.int64)
    similarity = np.full(len(points), np.nan, np.float32)
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK]
        like, by = most_like(block, kept[: len(picks)])
        each = block @ block.T
        for i in range(len(block)):
            if len(picks) == k:
                return Walk(
                    np.array(picks, np.int64), nearest[: start + i], similarity[: start + i]
                )
            similarity[start + i] = like[i] if picks else np.nan
            if like[i] > threshold:
                nearest[start + i] = picks[by[i]]
                continue
            closer = each[i] > like
            like[closer], by[closer] = each[i][closer], len(picks)
            if len(picks) == len(kept):
                kept = np.concatenate([kept, np.empty_like(kept)])
            kept[len(picks)] = block[i]
            picks.append(start + i)
    return Walk(np.array(picks, np.int64), nearest, similarity)


def most_like(block: Array, kept: Array) -> tuple[Array, Indices]:
    """Return for every point of a block the largest similarity to a kept one, and which.

    (n, d) and (m, d) float32 -> (n,) float32, -inf where nothing is kept, and (n,) int64.
    """
    like = np.full(len(block), -np.inf, np.float32)
    by = np.zeros(len(block), np.int64)
    for i in range(0, len(kept), CHUNK):
        found = block @ kept[i : i + CHUNK].T
        place = found.argmax(axis=1)
        best = found[np.arange(len(block)), place]
        closer = best > like
        like[closer], by[closer] = best[closer], i + place[closer]
    return like, by
