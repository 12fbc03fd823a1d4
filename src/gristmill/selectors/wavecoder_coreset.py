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
from gristmill.geometry.picks import picked
from gristmill.geometry.vectors import located
from gristmill.pipelines.stage import VectorStage


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the first pick; None was not picked."""
    min_dist: float | None
    """Euclidean distance to the picks before it; None for the first, and where not picked."""


class WavecoderCoreset(VectorStage):
    """Select by farthest-first traversal from the first row. O(n k d) at worst.

    The paper's encoder is all-roberta-large-v1.
    """

    codes: ClassVar[frozenset[str]] = frozenset({"not_selected", "zero_distance", "no_vector"})

    k: int = Field(ge=1)
    """Snippets to keep. Fewer come back when fewer differ from each other."""

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 2) -> (n, 6); rows without a vector leave with their own code."""
        points, order = located(table, self.column)
        found = k_center(points, self.k, "first")
        picks = order[found.picks]
        min_dist = np.full(len(table), np.nan)
        min_dist[picks[1:]] = found.distances[1:]
        all_covered = len(picks) < min(self.k, len(order))
        codes = np.full(len(table), "no_vector", object)
        codes[order] = "zero_distance" if all_covered else "not_selected"
        told = {
            "not_selected": f"k={self.k}",
            "zero_distance": "equal to a picked row",
            "no_vector": f"{self.column} is null",
        }
        return picked(table, picks, codes, told, min_dist=min_dist)
