"""A type of task for every row, so that the types have the shares that were asked for.

Source: Yu et al., "WaveCoder", arXiv:2312.14187, section 3: generation, summarization, translation
and repair.
Differs from the paper: it does not say how types meet code; here the order of chance decides.
"""

from __future__ import annotations

from typing import Annotated, Self, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from gristmill.geometry.picks import drawn
from gristmill.geometry.quotas import quotas
from gristmill.pipelines.stage import TableStage, decisions


class Typed(TypedDict):
    """What it writes."""

    task_type: str


class TaskTypes(TableStage):
    """Share the rows among the types; each has its share of them within one row."""

    types: tuple[str, ...] = Field(
        default=("generation", "summarization", "translation", "repair"), min_length=1
    )
    """Their names."""
    weights: tuple[Annotated[float, Field(ge=0)], ...] = (1.0, 1.0, 1.0, 1.0)
    """Of each type. Equal ones are our choice."""
    seed: int = 0
    """Of the order of chance."""

    @model_validator(mode="after")
    def _has_a_weight_per_type(self) -> Self:
        if len(self.weights) != len(self.types):
            raise ValueError(f"{len(self.types)} types, but {len(self.weights)} weights")
        return self

    def reads(self) -> frozenset[str]:
        """Nothing of a row counts; every stage names a column."""
        return frozenset({"lang"})

    def optional(self) -> frozenset[str]:
        """Rows need not have it."""
        return self.reads()

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Typed]:
        """(n, 1) -> (n, 5); every row stays."""
        sizes = quotas(len(table), self.weights, [len(table)] * len(self.types))
        types = np.empty(len(table), object)
        types[drawn(table, self.seed)] = np.repeat(self.types, sizes)
        return decisions(table, [True] * len(table), "", task_type=pa.array(types, pa.string()))
