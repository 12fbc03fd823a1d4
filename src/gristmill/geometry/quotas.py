"""Budgets: so many rows, shared among groups by weight, and which rows a group gives.

Largest remainder (Hamilton's method): floors first, the units that are left go to the largest
fractions, ties to the lower index; what a full group cannot take is shared again among the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.geometry.picks import Indices, Numbers

TINY = 1e-9
"""0.3 * 10 is 3.0000000000000004: fractions nearer than this are equal."""


def quotas(
    total: int, weights: Sequence[float] | Numbers, sizes: Sequence[int] | Indices
) -> Indices:
    """Share `total` units, (g,) 0 and more, (g,) -> (g,) int64, none above its size.

    The sum is `total`, or that of the sizes of groups with a weight where that is less. Where all
    weights are 0 they are taken as equal.
    """
    share, room = np.array(weights, np.float64), np.array(sizes, np.int64)
    if (share < 0).any() or not np.isfinite(share).all():
        raise ValueError(f"weights must be finite and 0 or more, found {share.tolist()}")
    share = share if share.any() else np.ones(len(room))
    given = np.zeros(len(room), np.int64)
    is_open = (share > 0) & (room > 0)
    left = total
    while left > 0 and is_open.any():
        wanted = np.where(is_open, left * share / share[is_open].sum(), 0)
        full = is_open & (wanted >= room - TINY)
        if not full.any():
            floors = np.floor(wanted + TINY).astype(np.int64)
            fractions = np.round(np.where(is_open, wanted - floors, -1), 9)
            first = np.argsort(-fractions, kind="stable")[: left - floors.sum()]
            floors[first] += 1
            return given + floors
        given[full] = room[full]
        left -= int(room[full].sum())
        is_open &= ~full
    return given


def groups(column: pa.ChunkedArray | pa.Array) -> tuple[list[str], Indices]:
    """Return the names in order and every row's place among them, -1 for null: (n,) -> (n,)."""
    texts = pc.cast(column, pa.string())
    names = sorted(name for name in pc.unique(texts).to_pylist() if name is not None)
    found = pc.fill_null(pc.index_in(texts, pa.array(names, pa.string())), -1)
    return names, np.asarray(found.to_numpy(), np.int64)


def first_of_each(order: Indices, of: Indices, counts: Indices) -> Indices:
    """Return the first `counts` rows of every group, in `order`: (n,), (n,), (g,) -> (m,)."""
    order = order[of[order] >= 0]
    by_group = np.argsort(of[order], kind="stable")
    sizes = np.bincount(of[order], minlength=len(counts))
    place = np.empty(len(order), np.int64)
    place[by_group] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen: Any = order[place < counts[of[order]]] if len(order) else order
    return np.asarray(chosen, np.int64)


def plateau(sizes: Sequence[int], scores: Sequence[float], within: float = 0.5) -> int | None:
    """Return the smallest size whose score is within so much of the best; None: the largest.

    Song et al., arXiv:2310.19651: an ability that is still rising at its largest size has none.
    """
    pairs = sorted(zip(sizes, scores, strict=True))
    found = next(size for size, score in pairs if score >= max(scores) - within)
    return None if found == pairs[-1][0] else found


def reweighted(weights: Numbers, gains: Numbers, rule: str) -> Numbers:
    """Return the next share of every cluster from its mean gain, (c,), (c,) -> (c,).

    Yu et al., arXiv:2409.11378, algorithm 1: "product" multiplies the shares by the gains, which
    must be above 0 (where one is not, all are raised until the least is a hundredth of the spread);
    "softmax", of their code, forgets the shares.
    """
    if rule == "softmax":
        return softmax(gains)
    least, spread = gains.min(initial=np.inf), np.ptp(gains) if len(gains) else 0.0
    lift = 0.0 if least > 0 else (0.01 * spread or 1.0) - least
    raised = weights * (gains + lift)
    shares: Numbers = raised / raised.sum()
    return shares


def skill_shares(adjacency: Numbers, losses: Sequence[Numbers], eta: float, window: int) -> Numbers:
    """Return the share of every skill, (k,), from (k, m) edges and the (m,) losses of each round.

    Chen et al., arXiv:2307.14430, algorithm 1; before the first losses all are taken as 1.
    """
    seen = losses[-window:] or [np.ones(adjacency.shape[1])]
    return softmax(eta * (adjacency @ np.sum(seen, axis=0)))


def source_step(
    logits: Numbers, aware: Numbers, alone: Numbers, alpha: float, rate: float
) -> Numbers:
    """Return the next logits of the sources' shares, (k,), from their mean losses, (k,), (k,).

    Pan et al., arXiv:2406.19976: `aware` are the losses of the model that also sees the validation
    rows, `alone` those of the one that does not; a source on which the first is better gains.
    """
    p = softmax(logits)
    gap = aware - alone
    stepped: Numbers = logits - rate * alpha * p * (gap - p @ gap)
    return stepped


def at_rest(path: Sequence[Numbers], within: float, window: int = 5) -> bool:
    """Say whether the last step moved the mean over `window` steps by `within` at most.

    `path` are the logits after each step, (k,), the first before any; a shorter one still moves.
    """
    if len(path) <= window:
        return False
    moved = np.abs(path[-1] - path[-1 - window]) / window
    return bool(moved.max(initial=0.0) <= within and within)


def softmax(logits: Numbers) -> Numbers:
    """Return shares, (k,) -> (k,), that sum to 1."""
    raised = np.exp(logits - logits.max(initial=-np.inf))
    shares: Numbers = raised / raised.sum()
    return shares
