"""Greedy maximum entropy: items whose labels, taken together, are spread as evenly as can be.

Source: the formulas of Delmas et al., arXiv:2311.06364 (GME-sampler). With T labels counted c_v
times and Z = sum of c log c, the entropy is log T - Z / T, so an item changes only its own labels.
Items with the same labels are interchangeable and are judged once: a step costs the labels of the
distinct items that are left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Indices = np.ndarray[Any, np.dtype[np.int64]]
Numbers = np.ndarray[Any, np.dtype[np.float64]]
Items = Sequence[Sequence[Counter[str]]]
"""Per item, per column: how often it has each label."""


@dataclass(frozen=True)
class Evened:
    """The picks, best first."""

    picks: Indices
    """(m,) int64."""
    entropies: Numbers
    """(m, columns) float64 in nats, after each pick."""
    distances: Numbers
    """(m,) Euclidean distance to the largest entropies there could be, after each pick."""


@dataclass(frozen=True)
class Column:
    """One column's labels of every distinct item, as CSR, and what is selected so far."""

    starts: Indices
    labels: Indices
    times: Numbers
    counts: Numbers
    """(labels,) how often each label is selected; changed by `add`."""
    utopia: float
    """log of the number of labels of the whole pool."""

    def entropies(self, items: Indices) -> Numbers:
        """Return the entropy after adding each of some items alone, (m,) -> (m,)."""
        lengths = self.starts[items + 1] - self.starts[items]
        owner = np.repeat(np.arange(len(items)), lengths)
        inside = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        at = self.starts[items][owner] + inside
        old, more = self.counts[self.labels[at]], self.times[at]
        change = np.bincount(owner, _xlogx(old + more) - _xlogx(old), len(items))
        total = self.counts.sum() + np.bincount(owner, more, len(items))
        z = _xlogx(self.counts).sum() + change
        some = np.where(total > 0, total, 1)
        entropies: Numbers = np.maximum(np.log(some) - z / some, 0)
        return entropies

    def add(self, item: int) -> None:
        """Select an item."""
        at = slice(self.starts[item], self.starts[item + 1])
        self.counts[self.labels[at]] += self.times[at]


def most_even(
    items: Items,
    k: int,
    rule: Literal["utopia", "sum"] = "utopia",
    decimals: int | None = 5,
    sample: int | None = None,
    seed: int = 0,
) -> Evened:
    """Add the item that leaves the entropies best, `k` times; ties go to the first item.

    Args:
        items: In order.
        k: How many; all are ranked when there are fewer.
        rule: "utopia" is nearest to the largest entropies, "sum" the largest sum.
        decimals: Entropies are rounded before they are compared; None: they are not.
        sample: Look only at so many of the items that are left, drawn anew for every pick.
        seed: Of the draw.
    """
    kinds, of = _distinct(items)
    columns = [_column([kind[i] for kind in kinds]) for i in range(len(kinds[0]) if kinds else 0)]
    utopia = np.array([column.utopia for column in columns])
    waiting = [np.flatnonzero(of == kind)[::-1].tolist() for kind in range(len(kinds))]
    rng, left = np.random.default_rng(seed), np.arange(len(items))
    picks, told = list[int](), list[Numbers]()
    for _ in range(min(k, len(items))):
        alive = _candidates(waiting, of, left, sample, rng)
        after = np.stack([column.entropies(alive) for column in columns], axis=1)
        shown = after if decimals is None else np.round(after, decimals)
        apart = -shown.sum(axis=1) if rule == "sum" else np.linalg.norm(shown - utopia, axis=1)
        ties = np.flatnonzero(apart == apart.min())
        best = min(ties, key=lambda i: waiting[alive[i]][-1])
        picks.append(waiting[alive[best]].pop())
        told.append(after[best])
        for column in columns:
            column.add(int(alive[best]))
        if sample is not None:
            left = left[left != picks[-1]]
    entropies = np.array(told).reshape(len(picks), len(columns))
    distances = np.linalg.norm(entropies - utopia, axis=1)
    return Evened(np.array(picks, np.int64), entropies, distances)


def distinct(items: Items) -> int:
    """Return how many items differ in their labels: what a step has to look at."""
    return len(_distinct(items)[0])


def _candidates(
    waiting: list[list[int]], of: Indices, left: Indices, sample: int | None, rng: Any
) -> Indices:
    if sample is None or sample >= len(left):
        return np.flatnonzero([bool(queue) for queue in waiting])
    return np.unique(of[rng.choice(left, sample, replace=False)])


def _distinct(items: Items) -> tuple[list[Sequence[Counter[str]]], Indices]:
    """Return one item of each kind and every item's kind, in order of first appearance."""
    known: dict[Any, int] = {}
    kinds: list[Sequence[Counter[str]]] = []
    of = np.empty(len(items), np.int64)
    for i, item in enumerate(items):
        name = tuple(frozenset(column.items()) for column in item)
        if name not in known:
            known[name] = len(kinds)
            kinds.append(item)
        of[i] = known[name]
    return kinds, of


def _column(items: Sequence[Counter[str]]) -> Column:
    names = {name: i for i, name in enumerate(sorted(set().union(*items)))}
    starts = np.cumsum([0, *(len(item) for item in items)])
    labels = np.array([names[name] for item in items for name in sorted(item)], np.int64)
    times = np.array([item[name] for item in items for name in sorted(item)], np.float64)
    return Column(starts, labels, times, np.zeros(len(names)), float(np.log(max(len(names), 1))))


def _xlogx(x: Numbers) -> Numbers:
    return np.where(x > 0, x * np.log(np.where(x > 0, x, 1)), 0.0)
