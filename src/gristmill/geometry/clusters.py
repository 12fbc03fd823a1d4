"""Clusters: points sorted into regions by FAISS's k-means, so that only neighbours are compared."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gristmill.geometry.knn import Indices, faiss, has_gpu
from gristmill.geometry.vectors import Array

SEED = 0
SAMPLE = 64
"""Points per cluster that the means are learned from."""


def clusters(points: Array, k: int) -> Iterator[Indices]:
    """Yield the places of every cluster's points in order, all of them once for k below 2.

    (n, d) float32 of unit length; O(n k d).
    """
    k = min(k, len(points))
    if k < 2:
        yield np.arange(len(points))
        return
    means = faiss().Kmeans(
        points.shape[1], k, niter=10, seed=SEED, spherical=True, gpu=has_gpu(),
        min_points_per_centroid=1, max_points_per_centroid=SAMPLE,
    )  # fmt: skip
    means.train(np.ascontiguousarray(points))
    _, found = means.index.search(np.ascontiguousarray(points), 1)
    for label in np.unique(found[:, 0]):
        yield np.flatnonzero(found[:, 0] == label)
