"""Drop rows that mean the same as a better one: their embeddings nearly point the same way.

Source: Abbas et al., "SemDeDup", arXiv:2303.09540: k-means, then pairs within each cluster.
Differs from the paper: all rows are one cluster unless `cells` says otherwise, so that no pair is
missed; the row with the better score stays, not the one farther from the mean; and a row is
compared with rows that stay only, so that a chain of small changes keeps its ends.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.geometry.clusters import clusters
from gristmill.geometry.picks import ranked
from gristmill.geometry.vectors import located, unit
from gristmill.geometry.walk import walk
from gristmill.pipelines.stage import VectorStage, decisions


class Nearest(TypedDict):
    """What it writes."""

    similarity: float | None
    """Cosine, -1..1, to the nearest row that stays and was looked at before, in its cluster."""


class SemanticDuplicates(VectorStage):
    """Keep the best of like rows, of equals the one with the lowest id; the detail names it.

    A row without a vector stays. O(n m d) for m rows that stay; n / cells of them with `cells`.
    """

    codes: ClassVar[frozenset[str]] = frozenset({"semantic_duplicate"})

    threshold: float = Field(default=0.95, ge=-1, le=1)
    """Cosine above which two rows mean the same. Our choice for `minilm`: find your own."""
    best: str | None = Field(default=None, pattern=r"^\w+(\.\w+)*$")
    """Column of a number, higher is better; rows without one come last. None: the lowest id."""
    cells: int = Field(default=0, ge=0)
    """0 compares all pairs. Otherwise clusters that are searched one by one, where pairs on both
    sides of a border are missed: 1,000 for a million rows."""

    def reads(self) -> frozenset[str]:
        """The columns depend on `of` and `best`."""
        return super().reads() | ({self.best} if self.best else set())

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Nearest]:
        """(n, 2) -> (n, 5)."""
        points, order = located(table, self.column)
        points = unit(points)
        if self.best:
            ranks = ranked(table[self.best].take(order), np.arange(len(order)))
            points, order = points[ranks], order[ranks]
        ids, n = table["id"].to_pylist(), len(table)
        similarity, detail, keep = np.full(n, np.nan), [""] * n, [True] * n
        for group in clusters(points, self.cells):
            found = walk(points[group], len(group), self.threshold)
            places = order[group]
            similarity[places] = found.similarity
            for i in np.flatnonzero(found.nearest >= 0):
                keep[places[i]] = False
                near = ids[places[found.nearest[i]]]
                detail[places[i]] = f"{found.similarity[i]:.3f} of {near}"
        return decisions(
            table, keep, "semantic_duplicate", detail,
            similarity=pa.array(similarity, from_pandas=True),
        )  # fmt: skip
