"""Keep the reasoning traces that are long and whose questions are hard, by a joint rank.

Source: Yang et al., "Select2Reason", arXiv:2505.17266: joint = 0.25 * rank by difficulty + 0.75 *
rank by length, ascending; 2, 5 and 10 % are kept.
Differs from the paper: the formula is that of two accounts of it, since the authors' code has no
joint rank; equal scores share their mean rank. Drop before it what was not verified (their first
step: `verifiers.math_answer`, `filters.verdict`), loops and cut-off traces: long is not good in
itself. Ranks belong to the table: more rows change them, the raw scores stay in `scores`.
"""

from __future__ import annotations

import logging
from typing import Annotated, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.geometry.picks import Numbers, best_first, by_id, numbers, picked
from gristmill.pipelines.stage import TableStage

log = logging.getLogger(__name__)
PATH = r"^\w+(\.\w+)*$"


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the best; None was not picked."""
    joint: float | None
    """1..n, lower is better; None where a score is missing."""
    difficulty_rank: float | None
    """1 is the hardest; equal ones share their mean."""
    length_rank: float | None
    """1 is the longest; equal ones share their mean."""


class Select2Reason(TableStage):
    """Rank twice, add up, keep the first; ties go to the lowest id. O(n log n)."""

    codes: ClassVar[frozenset[str]] = frozenset({"not_selected", "unscored"})

    k: int | None = Field(default=None, ge=1)
    """Rows to keep; None: `rate` decides."""
    rate: float = Field(default=0.1, gt=0, le=1)
    """Share of the scored rows to keep, rounded down, but at least one; 0.1 is the paper's."""
    weight: float = Field(default=0.25, ge=0, le=1)
    """Of the rank by difficulty; the rest is the length's. 0.25 is the paper's."""
    difficulty: str = Field(default="scores.difficulty.score", pattern=PATH)
    """Column of a number, higher is harder."""
    length: str = Field(default="scores.trace_length.words", pattern=PATH)
    """Column of a number, higher is longer."""

    def reads(self) -> frozenset[str]:
        """The columns are parameters."""
        return frozenset({self.difficulty, self.length})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 3) -> (n, 8); rows that lack a score leave with their own code, before any ranks."""
        hard, long = numbers(table[self.difficulty]), numbers(table[self.length])
        missing = np.isnan(hard) | np.isnan(long)
        hard_rank = mean_ranks(np.where(missing, np.nan, hard))
        long_rank = mean_ranks(np.where(missing, np.nan, long))
        joint = np.round(self.weight * hard_rank + (1 - self.weight) * long_rank, 9)
        order = best_first(-joint, by_id(table))
        k = self.k or max(1, int(self.rate * len(order) + 1e-9))
        log.info("rows=%d k=%d spearman=%.3f", len(order), k, spearman(hard_rank, long_rank))
        told = {
            "not_selected": f"k={k}",
            "unscored": f"{self.difficulty} or {self.length} is null",
        }
        codes = np.where(missing, "unscored", "not_selected")
        columns = {"joint": joint, "difficulty_rank": hard_rank, "length_rank": long_rank}
        return picked(table, order[:k], codes, told, **columns)


def mean_ranks(scores: Numbers) -> Numbers:
    """Return 1 for the highest score and so on, (n,) -> (n,); NaN has none."""
    values, of, counts = np.unique(-scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (2 * last - counts + 1) / 2
    return np.where(np.isnan(scores), np.nan, ranks[of]) if len(values) else scores


def spearman(first: Numbers, second: Numbers) -> float:
    """Return the correlation of two (n,) ranks, -1..1; NaN where one of them has no spread."""
    there = ~np.isnan(first)
    a, b = first[there], second[there]
    if not len(a) or not a.std() or not b.std():
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])
