"""R-Tuning-U: put questions in order of a model's certainty, and mark the half that it is sure of.

Source: Zhang et al., "R-Tuning: Instructing Large Language Models to Say 'I Don't Know'",
arXiv:2311.09677, section 3.3. `scorers.answer_entropy` comes before, `generators.r_tuning` after.
Differs from the paper: of equal entropies the lower id is the surer one; of an odd number of
rows one more is sure.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.geometry.picks import best_first, by_id, numbers, picked
from gristmill.pipelines.stage import TableStage


class Certainty(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the row that the model is surest of."""
    is_sure: bool | None
    """Whether it is in the lower half by entropy."""


class RTuning(TableStage):
    """Keep every row with an entropy. Labels are not looked at."""

    codes: ClassVar[frozenset[str]] = frozenset({"no_answer"})

    of: str = Field(default="scores.answer_entropy.entropy", pattern=r"^\w+(\.\w+)*$")
    """The column: lower is surer."""

    def reads(self) -> frozenset[str]:
        """The column is a parameter."""
        return frozenset({self.of})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Certainty]:
        """(n, 2) -> (n, 6). O(n log n)."""
        order = best_first(-numbers(table[self.of]), by_id(table))
        is_sure: list[bool | None] = [None] * len(table)
        for place, i in enumerate(order):
            is_sure[i] = place < (len(order) + 1) // 2
        told = {"no_answer": f"{self.of} is missing"}
        return picked(table, order, "no_answer", told, is_sure=pa.array(is_sure, pa.bool_()))
