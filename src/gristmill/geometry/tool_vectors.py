"""Things as vectors of what asks for them, and what can be learnt of who asks for what.

Source: Moon et al., "Efficient and Scalable Estimation of Tool Representations in Vector Space",
arXiv:2409.02141 (Tool2Vec, its multi-label classifier, ToolRefiner).
Differs from the paper: both models are logistic regressions on embeddings that stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gristmill.geometry.vectors import Array, unit

Numbers = NDArray[np.float64]

WEAK = 0.001
"""Inverse strength of the refiner's L2. Of 200, 800 and 2,000 requests for eight real tools, in
five folds, 0.88, 0.90 and 0.89 of the right ones were among its first two, by Tool2Vec 0.84, 0.89
and 0.89, by the classifier 0.83, 0.90 and 0.91; at 1 it had pairs by heart: 0.80, 0.83 and 0.89."""
PAIRS = 50_000
"""Pairs that a refiner learns from: 0.6 GB at 384 coordinates."""


@dataclass(frozen=True)
class Uses:
    """Requests (n, d) and things (m, d), of unit length, and who uses what, (m, n) of 0 and 1."""

    asked: Array
    told: Array
    uses: Array
    least: int
    """Requests that a thing needs before they stand for it; else its description does."""

    @cached_property
    def _sums(self) -> Numbers:
        found: Numbers = self.uses.astype(np.float64) @ self.asked
        return found

    @cached_property
    def _counts(self) -> Numbers:
        found: Numbers = self.uses.sum(axis=1, dtype=np.float64)
        return found

    def without(self, j: int) -> tuple[Array, NDArray[np.bool_]]:
        """Return the things as request `j` may see them, (m, d), and who stands for requests.

        A thing is the mean of the other requests that use it. O(m d).
        """
        is_known = self._counts - self.uses[:, j] >= self.least
        others = self._sums - np.outer(self.uses[:, j], self.asked[j])
        vectors = self.told.copy()
        vectors[is_known] = unit(others[is_known].astype(np.float32))
        return vectors, is_known

    def vectors(self) -> Array:
        """Return the things as a request may see them that is not among these, (m, d)."""
        is_known = self._counts >= self.least
        found = self.told.copy()
        found[is_known] = unit(self._sums[is_known].astype(np.float32))
        return found

    def of(self, rows: NDArray[np.int64]) -> Uses:
        """Return the same of some requests alone."""
        return Uses(self.asked[rows], self.told, self.uses[:, rows], self.least)


def classified(known: Uses, asked: Array) -> Numbers:
    """Return how likely each request uses each thing, (k, d) -> (k, m) in 0..1.

    One logistic regression a thing; of one that all or none use, the share that does.
    """
    found = np.empty((len(asked), len(known.uses)))
    for i, labels in enumerate(known.uses):
        if len({*labels.tolist()}) < 2:
            found[:, i] = labels[:1].sum()
        else:
            found[:, i] = _fitted(known.asked, labels).predict_proba(asked)[:, 1]
    return found


class Refiner:
    """Says how well a thing suits a request, having seen pairs of both.

    A logistic regression (binary cross-entropy) over products and distances of the coordinates of
    both vectors, with the two inner products; every one in units of its deviation.
    """

    def __init__(self, known: Uses, first: int) -> None:
        """Learn from the `first` nearest things of each request, up to PAIRS of them. O(n m d)."""
        pairs, labels = list[Numbers](), list[Array]()
        for j, asked in enumerate(known.asked[: max(1, PAIRS // first)]):
            vectors, _ = known.without(j)
            near = nearest(asked, vectors, first)
            pairs.append(_features(asked, vectors[near], known.told[near]))
            labels.append(known.uses[near, j])
        self._model = None
        right = np.concatenate(labels) if labels else np.empty(0)
        if len({*right.tolist()}) == 2:
            made = np.concatenate(pairs)
            self._middle, spread = made.mean(axis=0), made.std(axis=0)
            self._spread = np.where(spread > 1e-9, spread, 1.0)
            self._model = _fitted((made - self._middle) / self._spread, right, WEAK)

    def scores(self, asked: Array, vectors: Array, told: Array) -> Numbers:
        """Return one number a thing, (d,), (m, d), (m, d) -> (m,), higher is better.

        Where all that it saw was right, or nothing, inner products as they are.
        """
        if self._model is None:
            return (vectors @ asked).astype(np.float64)
        made = (_features(asked, vectors, told) - self._middle) / self._spread
        found: Numbers = self._model.decision_function(made)
        return found


def nearest(asked: Array, vectors: Array, k: int) -> NDArray[np.int64]:
    """Return the `k` best things by inner product, best first; of equal ones the first in order."""
    return np.argsort(-(vectors @ asked), kind="stable")[:k]


def _features(asked: Array, vectors: Array, told: Array) -> Numbers:
    """Return (m, 2 d + 2) for a request and m things."""
    ways = [vectors * asked, np.abs(vectors - asked), (vectors @ asked)[:, None]]
    return np.hstack([*ways, (told @ asked)[:, None]]).astype(np.float64)


def _fitted(given: Any, labels: Any, strength: float = 1.0) -> Any:
    from sklearn.linear_model import (  # type: ignore[import-untyped]  # has no types
        LogisticRegression,
    )

    return LogisticRegression(C=strength, max_iter=200).fit(given, labels)
