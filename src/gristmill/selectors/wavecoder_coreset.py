"""Keep the k raw snippets of code that cover the others best, as seeds for instructions.

Source: Yu et al., "WaveCoder", arXiv:2312.14187, section 3.1 (KCenterGreedy).
Differs from the code (microsoft/WaveCoder): the selected snippets stay, where the code writes the
first k of the file; the traversal ends when every snippet equals a selected one. As there, the
first pick is the first row, by id, and vectors are taken as they are: `selectors.k_center` scales
them to unit length and starts at the middle.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.geometry.k_center import k_center
from gristmill.geometry.picks import by_id, picked
from gristmill.geometry.vectors import vectors
from gristmill.pipelines.stage import TableStage


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the first pick; None was not picked."""
    min_dist: float | None
    """Euclidean distance to the picks before it; None for the first, and where not picked."""


class WavecoderCoreset(TableStage):
    """Select by farthest-first traversal from the first row. O(n k d) at worst."""

    codes: ClassVar[frozenset[str]] = frozenset({"not_selected", "zero_distance", "no_vector"})

    k: int = Field(ge=1)
    """Snippets to keep. Fewer come back when fewer differ from each other."""
    of: str = Field(default="embedding", pattern=r"^\w+$")
    """Label of the scorer whose `vector` to use; the paper's encoder is all-roberta-large-v1."""

    @property
    def column(self) -> str:
        """The column it reads."""
        return f"scores.{self.of}.vector"

    def reads(self) -> frozenset[str]:
        """The column depends on `of`."""
        return frozenset({self.column})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 2) -> (n, 6); rows without a vector leave with their own code."""
        points, there = vectors(table[self.column])
        order = by_id(table)
        order = order[there[order]]
        found = k_center(points[(np.cumsum(there) - 1)[order]], self.k, "first")
        picks = order[found.picks]
        min_dist = np.full(len(table), np.nan)
        min_dist[picks[1:]] = found.distances[1:]
        all_covered = len(picks) < min(self.k, len(order))
        codes = np.where(there, "zero_distance" if all_covered else "not_selected", "no_vector")
        told = {
            "not_selected": f"k={self.k}",
            "zero_distance": "equal to a picked row",
            "no_vector": f"{self.column} is null",
        }
        return picked(table, picks, codes, told, min_dist=min_dist)
