"""k-means and quality: a share of every cluster, drawn so that good rows come more often.

Source: Yu et al., "Diversify and Conquer", arXiv:2409.11378, section 3.1 (kMQ): a cluster of the
share s of all rows gives s k rows, drawn with a probability proportional to their quality.
Differs from the paper: rows are drawn without replacement, and what floors leave over goes to the
largest remainders. Their code weighs by softmax (`draw: softmax`) and gives every cluster the same
number (`budget: equal`). Vectors are scaled to unit length.
The iterative method (section 3.2) is the recipe's: with `rounds: {n: 3, train: generator}` and
`scorers.reward_gap` behind it, a later round draws from clusters by the mean gap of their picks,
and rows with the vector of a pick are not drawn again.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.errors import InputError
from gristmill.geometry.k_means import best_k_means
from gristmill.geometry.picks import drawn_by_weight, numbers, picked
from gristmill.geometry.quotas import first_of_each, quotas, reweighted
from gristmill.geometry.vectors import Array, located, unit, vectors
from gristmill.pipelines.stage import VectorStage


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the first drawn, clusters mixed; None was not."""
    cluster: int | None
    """Number of the row's cluster, also where it was not drawn."""


class Kmq(VectorStage):
    """Cluster, share the budget, draw. O(n c d) for c clusters, every time that they move."""

    codes: ClassVar[frozenset[str]] = frozenset(
        {"not_selected", "no_vector", "unscored", "picked_before"}
    )
    pools: ClassVar[bool] = True

    k: int = Field(ge=1)
    """Rows to keep, in each round; the paper keeps 10,000."""
    quality: str = Field(default="quality", pattern=r"^\w+(\.\w+)*$")
    """Column of a number, higher is better; the paper's is DEITA's."""
    draw: Literal["linear", "softmax"] = "linear"
    """How quality becomes a chance: as it is (0 and more), or by its exponential. Rows with a
    quality of 0 are drawn last."""
    budget: Literal["proportional", "equal"] = "proportional"
    """What a cluster gives: by its size, or the same as every other."""
    gain: str = Field(default="scores.reward_gap.score", pattern=r"^\w+(\.\w+)*$")
    """Column of the picks of earlier rounds: how much rows like this still teach."""
    update: Literal["softmax", "product"] = "softmax"
    """How gains become shares, see `geometry.quotas.reweighted`; the paper's is the product."""
    clusters: tuple[int, ...] = Field(default=(64,), min_length=1)
    """How many; of several numbers the one with the best silhouette (10,000 rows). The paper:
    64 for Alpaca, 2,048 for 196,000 rows of WizardLM."""
    iterations: int = Field(default=300, ge=1)
    """Of k-means; 300 and 5 tries are the authors'."""
    tries: int = Field(default=5, ge=1)
    """k-means from so many beginnings; the tightest clusters stay."""
    points_per_cluster: int = Field(default=256, ge=1)
    """Rows per cluster, drawn, that the centres are learned from; all rows are assigned."""
    seed: int = 0
    """Of clusters and draw; 42 in the paper."""

    def reads(self) -> frozenset[str]:
        """The columns are parameters."""
        return super().reads() | {self.quality}

    def decide(self, table: pa.Table, pool: pa.Table | None = None) -> Annotated[pa.Table, Pick]:
        """(n, 3) -> (n, 6); rows without a vector or a quality leave with their own codes."""
        points, order = located(table, self.column)
        quality = numbers(table[self.quality])
        codes = np.full(len(table), "no_vector", object)
        codes[order] = np.where(np.isnan(quality[order]), "unscored", "not_selected")
        points, before = unit(points), self._before(pool, points.shape[1])
        known = {vector.tobytes() for vector in before}
        seen = np.array([bool(known) and vector.tobytes() in known for vector in points], bool)
        codes[order[seen]] = "picked_before"
        eligible = codes[order] == "not_selected"
        how: dict[str, Any] = {
            "iterations": self.iterations,
            "tries": self.tries,
            "points_per_center": self.points_per_cluster,
        }
        found = best_k_means(points[eligible], self.clusters, self.seed, **how)
        of = np.full(len(table), -1, np.int64)
        of[order[eligible]] = found.of
        sizes = np.bincount(found.of, minlength=len(found.centers))
        share = sizes if self.budget == "proportional" else np.ones(len(sizes))
        if pool is not None and len(before) and len(sizes):
            share = self._shares(pool, before, found.centers)
        counts = quotas(self.k, share.astype(np.float64), sizes)
        chances = drawn_by_weight(table, self._log_weights(quality), self.seed)
        told: dict[str, Any] = {
            "not_selected": [f"rows: {counts[c]} of {sizes[c]}" if c >= 0 else "" for c in of],
            "no_vector": f"{self.column} is null",
            "unscored": f"{self.quality} is null",
            "picked_before": "in an earlier round",
        }
        cluster = pa.array(of, mask=of < 0)
        return picked(table, first_of_each(chances, of, counts), codes, told, cluster=cluster)

    def _before(self, pool: pa.Table | None, width: int) -> Array:
        """Return the vectors that picks of earlier rounds have, (m, d)."""
        if pool is None or not len(pool):
            return np.empty((0, width), np.float32)
        return unit(vectors(self._column(pool, self.column))[0])

    def _shares(self, pool: pa.Table, before: Array, centers: Array) -> Any:
        """Return what every cluster gives, (c,); one without a gain has the mean of all."""
        there = vectors(self._column(pool, self.column))[1]
        gains = numbers(self._column(pool, self.gain))[there]
        rounds = np.array(pool["round"].to_pylist(), np.int64)[there]
        of = (before**2).sum(axis=1)[:, None] - 2 * before @ centers.T + (centers**2).sum(axis=1)
        near, share = of.argmin(axis=1), np.ones(len(centers)) / len(centers)
        for number in np.unique(rounds) if self.update == "product" else [None]:
            now = ~np.isnan(gains) & ((rounds == number) if number is not None else True)
            if now.any():
                sums = np.bincount(near[now], gains[now], len(centers))
                often = np.bincount(near[now], minlength=len(centers))
                mean = np.where(often > 0, sums / np.maximum(often, 1), gains[now].mean())
                share = reweighted(share, mean, self.update)
        return share

    def _log_weights(self, quality: Any) -> Any:
        if self.draw == "softmax":
            return quality
        if (quality < 0).any():
            raise InputError(
                f"{self.quality} is {np.nanmin(quality):g}; a chance is 0 or more, or set "
                "draw: softmax"
            )
        return np.log(np.maximum(quality, 1e-300))
