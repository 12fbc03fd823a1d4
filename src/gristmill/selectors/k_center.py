"""Keep the k rows that cover the table best: each is the farthest from those before it.

Source: Gonzalez (1985), "Clustering to minimize the maximum intercluster distance"; Sener and
Savarese, arXiv:1708.00489, as a core-set for training data; WaveCoder (arXiv:2312.14187) uses it.
Differs from the paper: plain greedy only. It prefers outliers, so put a quality filter before it.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.geometry.k_center import k_center
from gristmill.geometry.vectors import unit, vectors
from gristmill.pipelines.stage import TableStage
from gristmill.storage.rows import TEXT


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the first pick; None was not picked."""
    distance: float | None
    """0..2: how far it was from the picks before it (Euclidean, unit vectors); None for the first
    pick. Of a row that was not picked, unknown."""


class KCenter(TableStage):
    """Select by farthest-first traversal; ties go to the lowest id."""

    codes: ClassVar[frozenset[str]] = frozenset({"not_selected", "zero_distance", "no_vector"})

    k: int = Field(ge=1)
    """Rows to keep. Fewer come back when fewer differ from each other."""
    of: str = Field(default="embedding", pattern=r"^\w+$")
    """Label of the scorer whose `vector` to use."""
    start: Literal["mean", "first"] = "mean"
    """The first pick: the row nearest to the mean, or the one with the lowest id."""

    @property
    def column(self) -> str:
        """The column it reads."""
        return f"scores.{self.of}.vector"

    def reads(self) -> frozenset[str]:
        """The column depends on `of`."""
        return frozenset({self.column})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 2) -> (n, 6), O(n k d) at worst; rows without a vector leave with their own code."""
        points, there = vectors(table[self.column])
        ids = np.array(table["id"].to_pylist(), dtype=object)
        places = np.flatnonzero(there)
        order = np.argsort(ids[places], kind="stable")  # by id: the order of the table is no input
        found = k_center(unit(points[order]), self.k, self.start)
        rank: list[int | None] = [None] * len(table)
        distance: list[float | None] = [None] * len(table)
        picked = zip(places[order[found.picks]], found.distances, strict=True)
        for number, (place, far) in enumerate(picked):
            rank[place], distance[place] = number, float(far) if number else None
        all_covered = len(found.picks) < min(self.k, len(places))
        why = "zero_distance" if all_covered else "not_selected"
        return self._decisions(table, there, why, rank=rank, distance=distance)

    def _decisions(self, table: pa.Table, there: Any, why: str, **columns: Any) -> pa.Table:
        keep = [number is not None for number in columns["rank"]]
        codes = [
            None if kept else why if has else "no_vector"
            for kept, has in zip(keep, there.tolist(), strict=True)
        ]
        told = {
            "not_selected": f"k={self.k}",
            "zero_distance": "equal to a picked row",
            "no_vector": f"{self.column} is null",
        }
        detail = [code and told[code] for code in codes]
        ends = {"code": pa.array(codes, TEXT), "detail": pa.array(detail, TEXT)}
        return pa.table({"id": table["id"], "keep": keep, **ends, **columns})
