"""Keep the k rows that represent the table best: every row has a kept one that it is like.

Source: Nemhauser, Wolsey and Fisher (1978) and Minoux (1978) for the greedy; Li et al.,
"Superfiltering", arXiv:2402.00530, section 5, selects so after a gate on difficulty.
Differs from the paper: similarities are kept for the nearest neighbours only, by cosine instead
of Euclidean distance, and a score of each row may say how much it is worth to be like it.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.errors import InputError
from gristmill.geometry.facility_location import facility_location
from gristmill.geometry.knn import knn
from gristmill.geometry.picks import numbers, picked
from gristmill.geometry.vectors import located, unit
from gristmill.pipelines.stage import VectorStage

LARGE = 200_000
"""Rows up to which the graph is exact by default: 200,000 of 384 numbers are 31 TFLOP."""


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the first pick; None was not picked."""
    gain: float | None
    """What the pick added: rows that it represents, times how well and how much they are worth."""


class FacilityLocation(VectorStage):
    """Select by lazy greedy on a graph of nearest neighbours; ties go to the lowest id.

    The graph takes O(n^2 d) time, or O(n^1.5 d) with `cells`; it holds 8 to 32 bytes per edge.
    """

    codes: ClassVar[frozenset[str]] = frozenset({"not_selected", "no_vector", "unscored"})

    k: int = Field(ge=1)
    """Rows to keep. Copies come last, with a gain of 0."""
    weight: str | None = Field(default=None, pattern=r"^\w+(\.\w+)*$")
    """Column of a number, 0 and more, such as `scores.reward.score`: its worth as a row to be
    represented. None: all are worth the same."""
    neighbours: int = Field(default=64, ge=1)
    """Edges per row."""
    cells: int = Field(default=0, ge=0)
    """0 is exact, and refused above 200,000 rows. Otherwise only the nearest of so many regions
    are searched, and some neighbours are missed: 4,096 for a million rows."""

    def reads(self) -> frozenset[str]:
        """The columns depend on `of` and `weight`."""
        return super().reads() | ({self.weight} if self.weight else set())

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 3) -> (n, 6); rows without a vector or a weight leave with their own codes."""
        points, order = located(table, self.column)
        worth = numbers(table[self.weight]) if self.weight else np.ones(len(table))
        if (worth < 0).any():
            raise InputError(f"{self.weight} is {np.nanmin(worth):g}; a weight is 0 or more")
        codes = np.full(len(table), "no_vector", object)
        codes[order] = np.where(np.isnan(worth[order]), "unscored", "not_selected")
        eligible = codes[order] == "not_selected"
        order = order[eligible]
        if len(order) > LARGE and not self.cells:
            raise InputError(
                f"facility_location: an exact graph of {len(order):,} rows takes too long "
                f"(at most {LARGE:,}); set cells, such as 4096, or filter before it"
            )
        graph = knn(unit(points[eligible]), self.neighbours, cells=self.cells)
        found = facility_location(graph, self.k, worth[order])
        picks = order[found.picks]
        gain = np.full(len(table), np.nan)
        gain[picks] = found.gains
        told = {
            "not_selected": f"k={self.k}",
            "no_vector": f"{self.column} is null",
            "unscored": f"{self.weight} is null",
        }
        return picked(table, picks, codes, told, gain=gain)
