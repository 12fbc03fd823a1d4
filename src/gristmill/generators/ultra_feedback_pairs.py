"""UltraFeedback, pairs: of the answers to one request the best rated over the worst.

Source: Cui et al., "UltraFeedback: Boosting Language Models with Scaled AI Feedback",
arXiv:2310.01377, section 3.2.
Differs from the paper: the worst instead of a random one; a least gap of the means, our choice.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, NotRequired, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.engines.requests import Gen
from gristmill.pipelines.stage import TableStage, decisions
from gristmill.text.turns import question


class Answered(TypedDict):
    """What it reads, and the column `by`."""

    instruction: str
    input: NotRequired[str | None]
    output: str | None
    gen: NotRequired[Gen | None]


class Pair(TypedDict):
    """What it writes."""

    prompt: str
    chosen: str
    rejected: str
    margin: float
    """Of the two scores."""
    chosen_from: str | None
    """The model that wrote the answer, as `gen` says."""
    rejected_from: str | None


class UltraFeedbackPairs(TableStage):
    """Make one row of all siblings; those without a gap between them leave."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = frozenset({"no_pair"})
    scope: ClassVar[Literal["table", "siblings"]] = "siblings"

    by: str = Field(default="scores.ultra_feedback.mean", pattern=r"^\w+(\.\w+)*$")
    """Column of a number, higher is better; answers without one are not paired."""
    min_gap: float = Field(default=1.0, ge=0)
    """Least difference of the two; equal scores are never a pair."""

    def reads(self) -> frozenset[str]:
        """The column is a parameter."""
        return super().reads() | {self.by}

    def decide(self, table: Annotated[pa.Table, Answered]) -> Annotated[pa.Table, Pair]:
        """(n, 6) -> (n, 10): the best row stays; of equal ones the lowest id."""
        rows = table.to_pylist()
        scores: list[float] = [row[self.by] or 0.0 for row in rows]
        rated = [
            i
            for i, row in enumerate(rows)
            if row[self.by] is not None and (row["output"] or "").strip()
        ]
        rated.sort(key=lambda i: (-scores[i], rows[i]["id"]))
        gap = scores[rated[0]] - scores[rated[-1]] if rated else 0.0
        is_pair = gap > 0 and gap >= self.min_gap
        keep = [is_pair and i == rated[0] for i in range(len(rows))]
        detail = "another one is the best" if is_pair else f"{len(rated)} answers, gap {gap:.2f}"
        pair: dict[str, Any] = dict.fromkeys(Pair.__annotations__)
        if is_pair:
            best, worst = rows[rated[0]], rows[rated[-1]]
            asked = question(best["instruction"], best.get("input"))
            pair = {"prompt": asked, "chosen": best["output"], "rejected": worst["output"]}
            pair["margin"] = float(gap)
            pair["chosen_from"], pair["rejected_from"] = (
                (row.get("gen") or {}).get("model") for row in (best, worst)
            )
        columns = {
            name: pa.array([pair[name] if kept else None for kept in keep], kind)
            for name, kind in self.writes().items()
        }
        return decisions(table, keep, "no_pair", detail, **columns)
