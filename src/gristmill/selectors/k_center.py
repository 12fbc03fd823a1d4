"""Keep the k rows that cover the table best: each is the farthest from those before it.

Source: Gonzalez (1985), "Clustering to minimize the maximum intercluster distance"; Sener and
Savarese, arXiv:1708.00489, as a core-set for training data; WaveCoder (arXiv:2312.14187) uses it.
Differs from the paper: plain greedy only. It prefers outliers, so put a quality filter before it.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.geometry.k_center import k_center
from gristmill.geometry.picks import picked
from gristmill.geometry.vectors import located, unit
from gristmill.pipelines.stage import VectorStage


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the first pick; None was not picked."""
    distance: float | None
    """0..2: how far it was from the picks before it (Euclidean, unit vectors); None for the first
    pick. Of a row that was not picked, unknown."""


class KCenter(VectorStage):
    """Select by farthest-first traversal; ties go to the lowest id."""

    codes: ClassVar[frozenset[str]] = frozenset({"not_selected", "zero_distance", "no_vector"})

    k: int = Field(ge=1)
    """Rows to keep. Fewer come back when fewer differ from each other."""
    start: Literal["mean", "first"] = "mean"
    """The first pick: the row nearest to the mean, or the one with the lowest id."""

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 2) -> (n, 6), O(n k d) at worst; rows without a vector leave with their own code."""
        points, order = located(table, self.column)
        found = k_center(unit(points), self.k, self.start)
        picks = order[found.picks]
        distance = np.full(len(table), np.nan)
        distance[picks[1:]] = found.distances[1:]
        all_covered = len(picks) < min(self.k, len(order))
        codes = np.full(len(table), "no_vector", object)
        codes[order] = "zero_distance" if all_covered else "not_selected"
        told = {
            "not_selected": f"k={self.k}",
            "zero_distance": "equal to a picked row",
            "no_vector": f"{self.column} is null",
        }
        return picked(table, picks, codes, told, distance=distance)
