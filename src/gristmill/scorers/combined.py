"""Combined signals: how a row ranks among the answers to its prompt, by several scores at once.

Source: our own. Scores of a reward model and of a judge have no unit in common, and their mean is
that of the louder one: ranks are compared instead. Checks that a program can make stand in front as
filters, a gate that asks no judge; this stands behind the scores.
"""

from __future__ import annotations

from typing import Literal, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.geometry.beaten import beaten
from gristmill.geometry.picks import by_id, numbers
from gristmill.pipelines.stage import TableStage, decisions
from gristmill.text.turns import question


class Total(TypedDict):
    """What it writes; None where a signal is missing: it is no bad mark."""

    total: float | None
    """0..1, higher is better: mean over the signals of the share of others that the row beats."""
    best: bool | None
    """Whether nothing in its group has a higher total; of equals the lowest id."""


class Combined(TableStage):
    """Rank rows by every signal and average the ranks; no row leaves, and no signal is changed."""

    signals: tuple[str, ...] = Field(
        default=("scores.reward.score", "scores.rubric.score"), min_length=1
    )
    """Columns of numbers, higher is better."""
    within: Literal["prompt", "table"] = "prompt"
    """Among the answers to the same prompt, or among all rows."""

    def reads(self) -> frozenset[str]:
        """The signals are a parameter."""
        return frozenset({*self.signals, "instruction", "input"})

    def optional(self) -> frozenset[str]:
        """A prompt may have no input."""
        return frozenset({"input"})

    def writes(self) -> dict[str, pa.DataType]:
        """A number and a claim."""
        return {"total": pa.float64(), "best": pa.bool_()}

    def decide(self, table: pa.Table) -> pa.Table:
        """(n, columns) -> (n, 6)."""
        groups: dict[str, list[int]] = {}
        asked = zip(table["instruction"].to_pylist(), table["input"].to_pylist(), strict=True)
        prompts = [question(*one) if self.within == "prompt" else "" for one in asked]
        for place in by_id(table):
            groups.setdefault(prompts[place], []).append(int(place))
        values = [numbers(table[name]) for name in self.signals]
        total, best = np.full(len(table), np.nan), list[bool | None]([None] * len(table))
        for places in groups.values():
            means = np.mean([beaten(column[places]) for column in values], axis=0)
            total[places] = means
            there = [i for i, mean in enumerate(means) if np.isfinite(mean)]
            for i in there:
                best[places[i]] = i == max(there, key=means.round(9).__getitem__)
        return decisions(
            table, [True] * len(table), "",
            total=pa.array(total, from_pandas=True), best=pa.array(best, pa.bool_()),
        )  # fmt: skip
