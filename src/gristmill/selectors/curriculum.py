"""Order all rows by difficulty, easy first, wholly or in phases.

Source: Bengio et al., "Curriculum Learning" (2009), section 5: easy examples first, then all kinds.
Differs from the paper: phases are equal parts of the table by rank, in chance order inside.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.geometry.picks import best_first, by_id, drawn, numbers, picked
from gristmill.geometry.quotas import quotas
from gristmill.pipelines.stage import TableStage


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is to be trained on first; None leaves."""
    phase: int | None
    """0 is the first; without phases all are in it."""


class Curriculum(TableStage):
    """Rank rows by one score; ties go to the lowest id. O(n log n)."""

    codes: ClassVar[frozenset[str]] = frozenset({"unscored"})

    of: str = Field(pattern=r"^\w+(\.\w+)*$")
    """The column: `scores.ifd.ppl`, or any other number of the row, higher is harder."""
    first: Literal["easy", "hard"] = "easy"
    """Which end comes first; "hard" is the paper's control."""
    phases: int = Field(default=1, ge=1)
    """1 orders strictly; above, so many parts of equal size, each in an order of chance."""
    unscored: Literal["last", "reject"] = "last"
    """What becomes of rows without a score."""
    seed: int = 0
    """Of the order inside a phase."""

    def reads(self) -> frozenset[str]:
        """The column depends on `of`."""
        return frozenset({self.of})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 2) -> (n, 6); nothing leaves but rows without a score, where asked."""
        scores, ids = numbers(table[self.of]), by_id(table)
        order = best_first(-scores if self.first == "easy" else scores, ids)
        if self.unscored == "last":
            order = np.concatenate([order, ids[np.isnan(scores[ids])]])
        sizes = quotas(len(order), [1.0] * self.phases, [len(order)] * self.phases)
        phase = np.full(len(table), -1, np.int64)
        phase[order] = np.repeat(np.arange(self.phases), sizes)
        if self.phases > 1:
            mixed = drawn(table, self.seed)
            mixed = mixed[phase[mixed] >= 0]
            order = mixed[np.argsort(phase[mixed], kind="stable")]
        told = {"unscored": f"{self.of} is null"}
        return picked(table, order, "unscored", told, phase=pa.array(phase, mask=phase < 0))
