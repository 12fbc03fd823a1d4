"""Mark the share of rows with the highest numbers; nothing leaves.

Source: Sagtani et al., "Improving FIM Code Completions via Context & Curriculum Based Learning",
arXiv:2412.16589, section 3: middles with many symbols are the curriculum, the rest is ordinary.
Differs from the paper: it names no share; ties go to the lowest id.
"""

from __future__ import annotations

from typing import Annotated, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.geometry.picks import by_id, picked, ranked
from gristmill.pipelines.stage import TableStage


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the highest; rows without a number come last."""
    is_top: bool
    """Whether it is of the share."""


class TopShare(TableStage):
    """Rank by one number, and say which rows are the top. O(n log n)."""

    of: str = Field(pattern=r"^\w+(\.\w+)*$")
    """The column: `meta.fim_curriculum.complexity`, or any other number of the row."""
    rate: float = Field(default=0.3, ge=0, le=1)
    """Share of all rows, rounded down. Our choice."""

    def reads(self) -> frozenset[str]:
        """The column depends on `of`."""
        return frozenset({self.of})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 2) -> (n, 6)."""
        order = ranked(table[self.of], by_id(table))
        is_top = np.zeros(len(table), bool)
        is_top[order[: int(self.rate * len(table) + 1e-9)]] = True
        return picked(table, order, "", {}, is_top=pa.array(is_top))
