"""Drop rows that mean the same as a better one: their embeddings nearly point the same way.

Source: Abbas et al., "SemDeDup", arXiv:2303.09540: k-means, then pairs within each cluster.
Differs from the paper: all rows are one cluster unless `cells` says otherwise, so that no pair is
missed; the row with the better score stays, not the one farther from the mean; and a row is
compared with rows that stay only, so that a chain of small changes keeps its ends.
"""

from __future__ import annotations

from io import BytesIO
from typing import Annotated, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from gristmill.errors import InputError
from gristmill.formats.others import Against, files
from gristmill.geometry.clusters import clusters
from gristmill.geometry.picks import ranked
from gristmill.geometry.vectors import Array, located, unit, vectors
from gristmill.geometry.walk import BLOCK, most_like, walk
from gristmill.pipelines.stage import VectorStage, decisions


class Nearest(TypedDict):
    """What it writes."""

    similarity: float | None
    """Cosine, -1..1, to the nearest row that stays and was looked at before, in its cluster."""


class SemanticDuplicates(Against, VectorStage):
    """Keep the best of like rows, of equals the one with the lowest id; the detail names it.

    A row without a vector stays, and so does one of another dataset, whatever its score: its files
    are Parquet, with the same column of vectors, as a run writes them. O(n m d) for m rows that
    stay; n / cells of them with `cells`.
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
        near_others = self._like_others(points)
        for place, (cosine, name) in zip(order.tolist(), near_others, strict=False):
            similarity[place] = cosine
            if cosine > self.threshold:
                keep[place], detail[place] = False, f"{cosine:.3f} of {name}"
        new = [keep[place] for place in order.tolist()]
        points, order = points[new], order[new]
        for group in clusters(points, self.cells):
            found = walk(points[group], len(group), self.threshold)
            places = order[group]
            similarity[places] = np.fmax(similarity[places], found.similarity)
            for i in np.flatnonzero(found.nearest >= 0):
                keep[places[i]] = False
                near = ids[places[found.nearest[i]]]
                detail[places[i]] = f"{found.similarity[i]:.3f} of {near}"
        return decisions(
            table, keep, "semantic_duplicate", detail,
            similarity=pa.array(similarity, from_pandas=True),
        )  # fmt: skip

    def _like_others(self, points: Array) -> list[tuple[float, str]]:
        """Return cosine and name of the nearest row of other datasets, for every point."""
        parts, names = list[Array](), list[str]()
        for path in self._files:
            for file, data in files(path, "against"):
                array, found = _read(file, data, self.column)
                parts.append(unit(array))
                names += found
        if not parts or not len(points):
            return []
        if len(widths := {part.shape[1] for part in (points, *parts)}) > 1:
            raise InputError(f"against: vectors of {sorted(widths)} numbers; embed all alike")
        known, near = np.concatenate(parts), list[tuple[float, str]]()
        for start in range(0, len(points), BLOCK):
            like, by = most_like(points[start : start + BLOCK], known)
            near += zip(like.tolist(), [names[place] for place in by.tolist()], strict=True)
        return near


def _read(file: str, data: bytes, column: str) -> tuple[Array, list[str]]:
    """Return the vectors of a Parquet file, (m, d), and what the evidence calls their rows."""
    head, *inner = column.split(".")
    try:
        table = pq.read_table(BytesIO(data), columns=["id", head])
        array, there = vectors(pc.struct_field(table[head], inner))
    except (pa.ArrowInvalid, KeyError) as error:
        raise InputError(
            f"against: {file} is no Parquet file with id and {column} ({error}); name the "
            "data of a run with that scorer"
        ) from error
    return array, [f"{row_id} in {file}" for row_id in table["id"].filter(there).to_pylist()]
