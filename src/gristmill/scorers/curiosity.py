"""Curiosity: how new a text is beside all others, by its words and its meaning, and not by noise.

Source: Hong et al., "Curiosity-driven Red-teaming for Large Language Models", arXiv:2402.19464,
section 4 (SelfBLEU, mean cosine similarity, a penalty for gibberish).
Differs from the paper: a score of rows, no reward of training; the mean is of the nearest texts,
since that of all of them flattens; perplexity stands for a classifier of gibberish; the terms are
combined by rank.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.geometry.beaten import beaten
from gristmill.geometry.knn import knn
from gristmill.geometry.picks import numbers
from gristmill.geometry.vectors import located
from gristmill.pipelines.stage import VectorStage, decisions
from gristmill.text.self_bleu import self_bleu
from gristmill.text.words import words


class Novelty(TypedDict):
    """What it writes; higher is newer."""

    novelty_words: float | None
    """0..1: 1 - SelfBLEU over n-grams of 2 to 5 words; None for a text of fewer than two."""
    novelty_meaning: float | None
    """0..1: 1 - mean cosine similarity with the `k` nearest texts, those that are missing having
    none; None without a vector."""
    total: float | None
    """0..1: mean rank by both and by how little it is noise; None where one is missing."""


class Curiosity(VectorStage):
    """Compare every row with the whole table; no row leaves. O(n^2 d) for n rows of d numbers."""

    version: ClassVar[int] = 2

    field: Literal["instruction", "output"] = "instruction"
    """The text that should be new; its vector should be of this field, too."""
    k: int = Field(default=10, ge=1)
    """Nearest texts whose similarity counts. Our choice."""
    noise: str = Field(default="scores.perplexity.ppl", pattern=r"^\w+(\.\w+)*$")
    """Column that is high for gibberish. Novelty alone would select noise."""

    def reads(self) -> frozenset[str]:
        """Two columns are parameters."""
        return frozenset({self.column, self.field, self.noise})

    def writes(self) -> dict[str, pa.DataType]:
        """Three numbers."""
        return dict.fromkeys(Novelty.__annotations__, pa.float64())

    def decide(self, table: Any) -> pa.Table:
        """(n, 4) -> (n, 7)."""
        said = [words(text or "") for text in table[self.field].to_pylist()]
        by_words = 1 - np.array(self_bleu(said), np.float64)
        by_meaning = np.full(len(table), np.nan)
        points, places = located(table, self.column)
        if len(points):  # of fewer than k others a mean would fall when a new one is unlike
            found = knn(points, self.k + 1)
            by_meaning[places] = (
                1 - found.similarities[:, 1:].sum(axis=1, dtype=np.float64) / self.k
            )
        noise = numbers(table[self.noise])
        total = (beaten(by_words) + beaten(by_meaning) + beaten(-noise)) / 3
        return decisions(
            table,
            [True] * len(table),
            "",
            novelty_words=pa.array(by_words, from_pandas=True),
            novelty_meaning=pa.array(by_meaning, from_pandas=True),
            total=pa.array(total, from_pandas=True),
        )
