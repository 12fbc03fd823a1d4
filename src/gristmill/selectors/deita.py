"""Walk rows from the best down and keep each that is like none kept so far.

Source: Liu et al., "What Makes Good Data for Alignment?" (DEITA), arXiv:2312.15685, section 2.4
("score-first, diversity-aware"): complexity times quality, summed over turns, at most 0.9 alike.
Differs from the code (hkust-nlp/deita): a row is compared with the kept rows only, never with a
rejected one of its batch; a score that could not be read is missing and not 3.0; equal scores are
ordered by id.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.errors import InputError
from gristmill.geometry.picks import best_first, picked, ratings
from gristmill.geometry.vectors import located, unit
from gristmill.geometry.walk import walk
from gristmill.pipelines.stage import VectorStage

PATH = r"^\w+(\.\w+)*$"


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the best; None was not picked."""
    evol: float | None
    """Complexity times quality over all turns: higher is better."""
    blocked_by: str | None
    """Id of the kept row that it is most like, where that is too like."""
    similarity: float | None
    """Cosine to the most similar row kept before it, -1..1; None where it was not compared."""


class Deita(VectorStage):
    """Accept by falling score what is at most `threshold` alike; ties go to the lowest id.

    O(n m d) for m kept rows at worst; it stops at `k`.
    """

    codes: ClassVar[frozenset[str]] = frozenset(
        {"too_similar", "not_selected", "no_vector", "unscored"}
    )

    k: int = Field(ge=1)
    """Rows to keep; the paper keeps 6,000 and 10,000."""
    complexity: str = Field(default="complexity", pattern=PATH)
    """Column of a number, or of one per turn."""
    quality: str = Field(default="quality", pattern=PATH)
    """Column of a number, or of one per turn."""
    turns: Literal["sum", "mean"] = "sum"
    """The sum is the paper's and favours long conversations."""
    threshold: float = Field(default=0.9, ge=-1, le=1)
    """Cosine above which two rows are too like; the paper's, for its encoder: find your own."""

    def reads(self) -> frozenset[str]:
        """The columns are parameters."""
        return super().reads() | {self.complexity, self.quality}

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 4) -> (n, 8); rows without a vector or a score leave with their own codes."""
        points, order = located(table, self.column)
        pairs = zip(ratings(table[self.complexity]), ratings(table[self.quality]), strict=True)
        scores = np.array([self._score(*pair) for pair in pairs], np.float64)
        codes = np.full(len(table), "no_vector", object)
        codes[order] = np.where(np.isnan(scores[order]), "unscored", "not_selected")
        ranked = best_first(scores[order], np.arange(len(order)))
        order = order[ranked]
        found = walk(unit(points[ranked]), self.k, self.threshold)
        seen = order[: len(found.nearest)]
        blocked = seen[found.nearest >= 0]
        ids = table["id"].to_pylist()
        blocker: list[str | None] = [None] * len(table)
        for place, by in zip(blocked, found.nearest[found.nearest >= 0], strict=True):
            blocker[place] = ids[order[by]]
        codes[blocked] = "too_similar"
        similarity = np.full(len(table), np.nan)
        similarity[seen] = found.similarity
        told: dict[str, Any] = {
            "not_selected": f"k={self.k}",
            "too_similar": [f"{likeness:.3f} > {self.threshold:g}" for likeness in similarity],
            "no_vector": f"{self.column} is null",
            "unscored": f"{self.complexity} or {self.quality} is null",
        }
        columns = {"blocked_by": pa.array(blocker, pa.string()), "similarity": similarity}
        return picked(table, order[found.picks], codes, told, evol=scores, **columns)

    def _score(self, complexity: Any, quality: Any) -> float:
        """Return the row's score; NaN where a turn lacks one of the two."""
        firsts = complexity if isinstance(complexity, list) else [complexity]
        seconds = quality if isinstance(quality, list) else [quality]
        if len(firsts) != len(seconds):
            raise InputError(
                f"{self.complexity} has {len(firsts)} turns and {self.quality} {len(seconds)}"
            )
        if not firsts or None in (*firsts, *seconds):
            return float("nan")
        total = float(np.dot(firsts, seconds))
        total = total / len(firsts) if self.turns == "mean" else total
        return total if np.isfinite(total) else float("nan")
