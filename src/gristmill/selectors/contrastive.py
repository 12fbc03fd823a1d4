"""Keep an instruction where two models answer it differently well, with the better answer.

Source: Wang et al., "CodecLM", arXiv:2404.05875, section 3.3 (contrastive filtering): a strong
model rates both answers 1..10; a gap above 3 either way stays.
Differs from the paper: what is sent back to another round of complication there leaves here with
the code `recycle`, and a pair whose rating could not be read in one order is not judged.
"""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Any, ClassVar, Literal, NotRequired, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.geometry.picks import best_first, by_id, picked, ratings
from gristmill.pipelines.stage import TableStage

PATH = r"^\w+(\.\w+)*$"


class Pick(TypedDict):
    """What it writes."""

    output: str | None
    """The better answer: the only text that a selector changes, since the choice is between two."""
    rank: int | None
    """0 is the widest gap; None leaves."""
    gap: float | None
    """-9..9: the strong model's rating minus the target's, both orders averaged."""
    choice: NotRequired[Literal["keep_strong", "keep_target", "recycle"] | None]
    """Whose answer stays; many `keep_target` show a judge that does not prefer itself."""


class Contrastive(TableStage):
    """Compare two ratings; single-turn rows. `output` is the strong model's answer before. O(n)."""

    codes: ClassVar[frozenset[str]] = frozenset({"recycle", "unscored"})

    margin: float = Field(default=3.0, ge=0)
    """A gap must exceed it."""
    strong: str = Field(default="strong", pattern=PATH)
    """Column of the rating of `output`: a number, or one per order of presentation."""
    target: str = Field(default="target", pattern=PATH)
    """Column of the rating of the target model's answer, orders as in `strong`."""
    answer: str = Field(default="target_output", pattern=PATH)
    """Column of the target model's answer."""

    def reads(self) -> frozenset[str]:
        """The columns are parameters."""
        return frozenset({"output", self.strong, self.target, self.answer})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 5) -> (n, 8); a pair that lacks a rating leaves with its own code."""
        pairs = zip(ratings(table[self.strong]), ratings(table[self.target]), strict=True)
        gap = np.array([_gap(*pair) for pair in pairs], np.float64)
        missing, wide = np.isnan(gap), np.abs(gap) > self.margin
        order = best_first(np.where(wide, np.abs(gap), np.nan), by_id(table))
        choice = np.where(wide, np.where(gap > 0, "keep_strong", "keep_target"), "recycle")
        texts = zip(table["output"].to_pylist(), table[self.answer].to_pylist(), strict=True)
        output = [
            other if who == "keep_target" else own
            for who, (own, other) in zip(choice, texts, strict=True)
        ]
        told = {
            "recycle": [f"|{value:g}| <= {self.margin:g}" for value in gap],
            "unscored": f"{self.strong} or {self.target} lacks a rating",
        }
        return picked(
            table,
            order,
            np.where(missing, "unscored", "recycle"),
            told,
            gap=gap,
            choice=pa.array(choice, pa.string(), mask=missing),
            output=pa.array(output, pa.string()),
        )


def _gap(strong: Any, target: Any) -> float:
    """Return the mean difference; NaN where an order lacks a rating."""
    firsts = strong if isinstance(strong, list) else [strong]
    seconds = target if isinstance(target, list) else [target]
    if not firsts or not seconds or None in (*firsts, *seconds):
        return float("nan")
    if len(firsts) != len(seconds):
        return float("nan")
    found = (sum(firsts) - sum(seconds)) / len(firsts)
    return found if isfinite(found) else float("nan")
