"""The graph of nearest neighbours, by FAISS: on a GPU where there is one, else on the processor.

Source: Johnson, Douze and Jegou, "Billion-scale similarity search with GPUs", arXiv:1702.08734.
Exact: O(n^2 d) time, 8 bytes per edge. With `cells` only the nearest of so many regions are
searched (an inverted file): O(n^1.5 d) where cells grow with the root of n, and some neighbours
are missed.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gristmill.errors import RequirementError
from gristmill.geometry.vectors import Array

Indices = np.ndarray[Any, np.dtype[np.signedinteger[Any]]]
Metric = Literal["cosine", "distance"]

QUERIES = 1 << 14
"""Points looked up together: bounds the memory of a search, not its result."""
SAMPLE = 64
"""Points per cell that the regions are learned from."""
SEED = 0
"""Of the clustering behind `cells`; FAISS has a generator of its own."""


@dataclass(frozen=True)
class Graph:
    """Every point's most similar points, itself first."""

    neighbours: Indices
    """(n, k) int32, most similar first; ties go to the lower index."""
    similarities: Array
    """(n, k) float32, 0..1; 0 also where fewer than k were found (the index is its own then)."""


def faiss() -> Any:
    """Return the module, or say how to get it."""
    try:
        return importlib.import_module("faiss")
    except ImportError as error:
        raise RequirementError(
            "a graph of neighbours needs FAISS, which is not installed; install 'faiss-cpu', or "
            "'faiss-gpu-cu12' on a GPU (they come with gristmill[cpu] and gristmill[gpu])"
        ) from error


def has_gpu() -> bool:
    """Say whether FAISS can work on a GPU: its build can, and there is one."""
    return bool(getattr(faiss(), "get_num_gpus", int)() > 0)


def knn(
    points: Array, k: int, metric: Metric = "cosine", cells: int = 0, probes: int = 16
) -> Graph:
    """Link every point with its `k` most similar ones, itself included, (n, d) -> (n, k).

    Args:
        points: (n, d) float32; for "cosine" of unit length, or zero.
        k: Edges per point; n where there are fewer points.
        metric: "cosine" is max(0, cos): below 0 a point would harm those that it is unlike.
            "distance" is 1 / (1 + Euclidean distance).
        cells: 0 is exact. Otherwise regions that the points are sorted into.
        probes: How many regions are searched for each point.
    """
    n, k = len(points), min(k, len(points))
    if not n:
        return Graph(np.empty((0, 0), np.int32), np.empty((0, 0), np.float32))
    points = np.ascontiguousarray(points, np.float32)
    index = _index(points, metric, cells, probes)
    neighbours = np.empty((n, k), np.int32)
    similarities = np.empty((n, k), np.float32)
    for i in range(0, n, QUERIES):
        stop = min(n, i + QUERIES)
        near, found = index.search(points[i:stop], k)
        own = np.arange(i, stop)
        self_near = (points[i:stop] ** 2).sum(axis=1) if metric == "cosine" else np.zeros(stop - i)
        near = _with_self(near, found, own, self_near, metric)
        order = np.lexsort((found, -near, found != own[:, None]), axis=1)
        neighbours[i:stop] = np.take_along_axis(found, order, axis=1)
        similarities[i:stop] = np.take_along_axis(near, order, axis=1)
    return Graph(neighbours, similarities)


def nearest(points: Array, among: Array) -> Indices:
    """Return for each of (n, d) points of unit length the most similar of (m, d) others, (n,).

    Exact, O(n m d); of equally similar ones any.
    """
    index = _index(np.ascontiguousarray(among, np.float32), "cosine", 0, 0)
    found: Indices = index.search(np.ascontiguousarray(points, np.float32), 1)[1][:, 0]
    return found


def _index(points: Array, metric: Metric, cells: int, probes: int) -> Any:
    module, d = faiss(), points.shape[1]
    flat = module.IndexFlatIP(d) if metric == "cosine" else module.IndexFlatL2(d)
    index = flat
    if cells:
        kind = module.METRIC_INNER_PRODUCT if metric == "cosine" else module.METRIC_L2
        index = module.IndexIVFFlat(flat, d, min(cells, len(points)), kind)
        index.cp.seed, index.nprobe = SEED, probes
        step = max(1, len(points) // (SAMPLE * cells))
        index.train(points[::step])  # on the processor: the same cells everywhere
    if has_gpu():
        index = module.index_cpu_to_all_gpus(index)
    index.add(points)
    return index


def _with_self(near: Array, found: Indices, own: Indices, self_near: Any, metric: Metric) -> Array:
    """Return similarities of 0 and more; put every point among its own neighbours, in place."""
    near = 1 / (1 + np.sqrt(near.clip(min=0))) if metric == "distance" else near.clip(0, 1)
    missing = found < 0  # FAISS says so where fewer than k were found
    found[missing] = np.broadcast_to(own[:, None], found.shape)[missing]
    near[missing] = 0
    alone = ~((found == own[:, None]) & ~missing).any(axis=1)  # more than k copies, or no cell
    found[alone, -1] = own[alone]
    at = (found == own[:, None]) & ~missing
    at[alone, -1] = True
    rows = np.flatnonzero(at.any(axis=1))
    exact = 1 / (1 + np.sqrt(self_near)) if metric == "distance" else np.clip(self_near, 0, 1)
    near[rows, at[rows].argmax(axis=1)] = exact[rows]
    return near.astype(np.float32, copy=False)
