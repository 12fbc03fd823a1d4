"""Drop instructions that are not new: too many of their words stand in an earlier one, in order.

Source: Wang et al., "Self-Instruct", arXiv:2212.10560, section 2.3: an instruction joins the pool
when its ROUGE-L with every one in it is below 0.7.
Differs from the paper: the pool is the table, without words that a model cannot follow; only what
shares rare words is compared, with the same result.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.pipelines.stage import TableStage, decisions
from gristmill.text.like_rouge import LikeRouge
from gristmill.text.turns import parts
from gristmill.text.words import words


class Nearest(TypedDict):
    """What it writes."""

    rouge: float | None
    """0..1: ROUGE-L with the nearest row that stays, where that is the threshold or more."""


class RougeNovelty(TableStage):
    """Keep the first of like rows in canonical order; the detail names it and their ROUGE-L.

    A text without words is new. Scripts without spaces have few words: see `near_duplicates`.
    """

    codes: ClassVar[frozenset[str]] = frozenset({"not_novel"})

    field: Literal["instruction", "output"] = "instruction"
    """What is compared; of a conversation, all that the user or the assistant said."""
    threshold: float = Field(default=0.7, gt=0, le=1)
    """ROUGE-L (0..1) from which on a text is not new; the paper's."""

    def reads(self) -> frozenset[str]:
        """The column is a parameter."""
        return frozenset({self.field, "messages"})

    def optional(self) -> frozenset[str]:
        """A table need not have conversations."""
        return frozenset({"messages"})

    def judges(self) -> frozenset[str]:
        """A row without the text stays."""
        return frozenset()

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Nearest]:
        """(n, 2) -> (n, 5); O(pairs that share one of their rarest words)."""
        texts = [words("\n".join(parts(row, self.field))) for row in table.to_pylist()]
        known, ids = LikeRouge(self.threshold, texts), table["id"].to_pylist()
        found = []
        for place, said in enumerate(texts):
            found.append(known.nearest(said))
            if not found[-1][0]:
                known.add(said, place)
        keep = [not rate for rate, _ in found]
        detail = [f"ROUGE-L {rate:.2f} with {ids[place]}" for rate, place in found]
        rouge = pa.array([rate or None for rate, _ in found], pa.float64())
        return decisions(table, keep, "not_novel", detail, rouge=rouge)
