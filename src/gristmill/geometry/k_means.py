"""k-means by FAISS: on a GPU where there is one, else on the processor.

Source: Lloyd (1982), as FAISS does it: from points drawn by a seed of its own, several times over,
on so many points per centre that are drawn as well. O(n k d) for the assignment in the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gristmill.geometry.knn import faiss, has_gpu
from gristmill.geometry.picks import Indices
from gristmill.geometry.vectors import Array

SAMPLE = 10_000
"""Points that a silhouette is taken of: it compares every pair."""


@dataclass(frozen=True)
class Clusters:
    """Where the centres are and whom each has; one that has none is possible."""

    centers: Array
    """(k, d) float32."""
    of: Indices
    """(n,) int64: the nearest centre."""


def k_means(
    points: Array,
    k: int,
    *,
    iterations: int = 300,
    tries: int = 5,
    points_per_center: int = 256,
    seed: int = 0,
) -> Clusters:
    """Cluster (n, d) float32 points around min(k, n) centres, by Euclidean distance."""
    n, d = points.shape
    if not n:
        return Clusters(np.empty((0, d), np.float32), np.empty(0, np.int64))
    points, k = np.ascontiguousarray(points, np.float32), min(k, n)
    learner = faiss().Kmeans(
        d,
        k,
        niter=iterations,
        nredo=tries,
        seed=seed,
        gpu=has_gpu(),
        min_points_per_centroid=1,  # only a warning
        max_points_per_centroid=points_per_center,
    )
    learner.train(points)
    of = learner.assign(points)[1]
    return Clusters(np.array(learner.centroids, np.float32), of.astype(np.int64))


def best_k_means(points: Array, ks: Sequence[int], seed: int, **how: Any) -> Clusters:
    """Return the clusters whose mean silhouette is largest; with one number, those."""
    found = [k_means(points, k, seed=seed, **how) for k in ks]
    return found[0] if len(found) == 1 else max(found, key=lambda c: silhouette(points, c.of, seed))


def silhouette(points: Array, of: Indices, seed: int) -> float:
    """Return how much nearer points are to their own cluster than to the next, -1..1.

    Rousseeuw (1987), over at most 10,000 points that are drawn. -1 where it has no meaning: one
    cluster, or a cluster for every point.
    """
    from sklearn.metrics import silhouette_score  # type: ignore[import-untyped]  # has no types

    drawn = np.arange(len(points))
    if len(points) > SAMPLE:
        drawn = np.sort(np.random.default_rng(seed).choice(len(points), SAMPLE, replace=False))
    if not 1 < len(np.unique(of[drawn])) < len(drawn):
        return -1.0
    return float(silhouette_score(points[drawn], of[drawn]))
