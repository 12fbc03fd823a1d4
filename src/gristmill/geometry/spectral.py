"""Spectral clusters: points that a walk from neighbour to neighbour seldom leaves.

Source: Coifman and Lafon, "Diffusion maps" (2006), and Ng, Jordan and Weiss (2001): eigenvectors of
the normalised Laplacian of a Gaussian affinity. He et al., PASER, arXiv:2502.12594, factorise
|Phi Phi^T| into parts that are 0 and more; a point belongs to its largest part.
Their code gives a symmetric solver the Laplacian I - A / D, which is not symmetric; here it gets
I - D^-1/2 A D^-1/2, and the vectors are scaled by D^-1/2. Above 2,000 points the affinity is a
graph of nearest neighbours, the vectors come by Lanczos, and k-means takes the place of the
factors: O(n^2 d) time for the graph. With `sample` s all this is done with s points, and every
other one joins its nearest: O(s^2 d + n s d).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gristmill.errors import InputError
from gristmill.geometry.k_means import k_means
from gristmill.geometry.knn import knn, nearest
from gristmill.geometry.picks import Indices, Numbers
from gristmill.geometry.vectors import Array

DENSE = 2_000
"""Points up to which the whole affinity is taken."""
LARGE = 200_000
"""Points that are clustered at most."""
ROUNDING = 1e-9
"""Below 1, the eigenvalue of vectors that say nothing where points are equal."""
MOST = 20
"""Clusters at most where their number is searched."""
BASIS = 128
"""Vectors that Lanczos keeps, 1 KB per point. Where many clusters are nearly apart their first
eigenvalues are nearly the same, and the usual 20 vectors tell them apart in six times the time."""


@dataclass(frozen=True)
class Parts:
    """Which cluster every point is in, numbered in order of their first points."""

    of: Indices
    """(n,) int64."""
    eigenvalues: Numbers
    """Of the Laplacian, 0..2, the smallest first; as many near 0 as there are separate clusters."""
    errors: dict[int, float]
    """Relative error of the factors, 0..1, by how many they are; empty above 2,000 points."""


def spectral(
    points: Array, k: int | None, *, sigma: float | None = None, sample: int = 0, seed: int = 0
) -> Parts:
    """Cluster (n, d) float32 points of unit length into up to `k` parts.

    Args:
        points: Any order; without `sample` the result depends on it only through rounding.
        k: How many; None: the fewest whose error is below 0.05, or after which one more part
            improves it by less than a tenth (at most 2,000 points, else 10).
        sigma: Width of the kernel in Euclidean distance; None: the median distance of two points.
        sample: Points that are clustered, drawn where there are more; 0: all.
        seed: Of the draw, the factors, the points behind the median, and k-means.
    """
    n = len(points)
    if 0 < sample < n:
        drawn = np.sort(np.random.default_rng(seed).choice(n, sample, replace=False))
        found = spectral(points[drawn], k, sigma=sigma, seed=seed)
        of = found.of[nearest(points, points[drawn])]
        return replace(found, of=_renumbered(of))
    if n > LARGE:
        raise InputError(
            f"spectral clusters of {n:,} rows take too long (at most {LARGE:,}); "
            "set sample, such as 20000, or filter before it"
        )
    sigma = _median(points, seed) if sigma is None else sigma
    if n < 3 or sigma < 1e-6:  # nothing to tell apart
        return Parts(np.zeros(n, np.int64), np.zeros(min(n, 1)), {})
    if n > DENSE:
        values, phi = _sparse(points, min(k or 10, n - 1), sigma, seed)
        scaled = phi / np.abs(phi).max()
        of = k_means(scaled.astype(np.float32), k or 10, iterations=50, seed=seed).of
        return Parts(_renumbered(of), values, {})
    values, phi = _dense(points, sigma)
    kept = min(k, n - 1) if k else 2 + int(np.argmax(np.diff(values[1 : MOST + 1])))
    kept = min(kept, int((values < 1 - ROUNDING).sum()))  # beyond, vectors part equal points
    similar = np.abs(phi[:, :kept] @ phi[:, :kept].T)
    of, errors = _factors(similar, [kept] if k else range(1, min(MOST, n - 1) + 1), seed)
    return Parts(_renumbered(of), values[: MOST + 1], errors)


def _factors(similar: Numbers, ks: Any, seed: int) -> tuple[Indices, dict[int, float]]:
    """Factorise for every number until it is enough; return the last and the errors."""
    from sklearn.decomposition import NMF  # type: ignore[import-untyped]  # has no types

    whole, errors = float(np.linalg.norm(similar)), dict[int, float]()
    best = np.zeros(len(similar), np.int64)
    for k in ks:
        model = NMF(k, init="nndsvda", tol=1e-5, max_iter=500, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # not converged: the error below says how far it is
            parts = model.fit_transform(similar)
        before = errors.get(k - 1)
        errors[k] = float(np.linalg.norm(similar - parts @ model.components_)) / whole
        if before is not None and errors[k] > 0.9 * before:
            break
        best = np.round(parts, 9).argmax(axis=1).astype(np.int64)
        if errors[k] < 0.05:
            break
    return best, errors


def _dense(points: Array, sigma: float) -> tuple[Numbers, Numbers]:
    affinity = np.exp(-_squares(points, points) / (2 * sigma**2))
    scale = affinity.sum(axis=1) ** -0.5
    values, vectors = np.linalg.eigh(np.eye(len(points)) - scale[:, None] * affinity * scale)
    return values, vectors * scale[:, None]


def _sparse(points: Array, k: int, sigma: float, seed: int) -> tuple[Numbers, Numbers]:
    from scipy.sparse import csr_array, diags_array  # type: ignore[import-untyped]  # no types
    from scipy.sparse.linalg import eigsh  # type: ignore[import-untyped]  # has no types

    graph = knn(points, 64)
    n, width = graph.neighbours.shape
    near = np.exp((graph.similarities.ravel().astype(np.float64) - 1) / sigma**2)
    starts = np.arange(n + 1, dtype=np.int64) * width
    one_way = csr_array((near, graph.neighbours.ravel(), starts), (n, n))
    affinity = one_way.maximum(one_way.T)
    scale = np.asarray(affinity.sum(axis=1)).ravel() ** -0.5
    whole = diags_array(scale) @ affinity @ diags_array(scale)
    start = np.random.default_rng(seed).normal(size=n)
    basis = min(max(BASIS, 2 * k + 1), n)
    values, vectors = eigsh(whole, k, which="LA", v0=start, tol=1e-6, ncv=basis)
    return (1 - values)[::-1], vectors[:, ::-1] * scale[:, None]


def _squares(a: Array, b: Array) -> Numbers:
    wide, other = a.astype(np.float64), b.astype(np.float64)
    norms = (wide**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)
    squares: Numbers = np.maximum(norms - 2 * wide @ other.T, 0)
    return squares


def _median(points: Array, seed: int) -> float:
    """Return the median distance of two different points, of 2,000 drawn where there are more."""
    if len(points) < 2:
        return 0.0
    if len(points) > DENSE:
        drawn = np.random.default_rng(seed).choice(len(points), DENSE, replace=False)
        points = points[np.sort(drawn)]
    apart = _squares(points, points)[np.triu_indices(len(points), 1)]
    return float(np.sqrt(np.median(apart)))


def _renumbered(of: Indices) -> Indices:
    _, first, inverse = np.unique(of, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first)).astype(np.int64)[inverse]
