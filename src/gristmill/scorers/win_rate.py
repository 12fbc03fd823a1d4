"""Win rate: how often one side's answers are preferred, and how often they are at least as good.

Source: Arif et al., "The Fellowship of the LLMs", arXiv:2408.08688, section 4 (win rate of a
workflow over a single model); Wang et al., "CodecLM: Aligning Language Models with Tailored
Synthetic Data", arXiv:2404.05875, section 5.1 (capacity recovery ratio).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.pipelines.stage import TableStage, decisions
from gristmill.text.length_bias import WON


class Rates(TypedDict):
    """What it writes: the same in all rows; None where nobody gave a verdict."""

    win_rate: float | None
    """0..1, higher is better: verdicts for `chosen`, among all of them."""
    recovery: float | None
    """0..1, higher is better: verdicts for `chosen`, and ties: the capacity recovery ratio, where
    `chosen` is the tuned model's answer and `rejected` the strong one's."""


class WinRate(TableStage):
    """Count the verdicts on all pairs; no row leaves."""

    codes: ClassVar[frozenset[str]] = frozenset()

    of: str = Field(default="verdicts.fellowship.winner", pattern=r"^\w+(\.\w+)*$")
    """Column of a verdict: `chosen`, `rejected` or `tie`."""

    def reads(self) -> frozenset[str]:
        """The column is a parameter."""
        return frozenset({self.of})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Rates]:
        """(n, 2) -> (n, 4)."""
        said = [one if one in WON else None for one in table[self.of].to_pylist()]
        known = [one for one in said if one]
        wins = known.count("chosen")
        at_least = wins + known.count("tie")
        made = {
            "win_rate": [one and wins / len(known) for one in said],
            "recovery": [one and at_least / len(known) for one in said],
        }
        arrays = {name: pa.array(made[name], kind) for name, kind in self.writes().items()}
        return decisions(table, [True] * len(table), "", **arrays)
