"""Infinity Instruct, phase 1: of a large pool the rows that look like a few wanted ones.

Source: Li et al., "Infinity Instruct", arXiv:2506.11116: mathematics and code are selected by DSIR
(Xie et al., arXiv:2302.03169) towards the training prompts of benchmarks. log w is the sum, over
words and pairs of words, of log(p_target / p_pool); rows are drawn without replacement, p ~ w.
Differs from the paper: known from accounts of it. Words leave out punctuation; counts are smoothed,
because a target is small; one use is one domain, and the loop that relaxes a domain's criterion
after tuning is not here. Never use test prompts as a target.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any, ClassVar, Literal, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.formats.text_lines import Lines
from gristmill.geometry.picks import Numbers, drawn_by_weight, picked
from gristmill.pipelines.stage import TableStage
from gristmill.text.hashed_ngrams import buckets
from gristmill.text.turns import parts

log = logging.getLogger(__name__)


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the first drawn; None was not."""
    log_weight: float | None
    """Higher is more like the target; it grows with the length unless `per_gram`."""


class InfinityPhase1(TableStage):
    """Count twice, weigh, draw. O(words), in two passes: a row's n-grams are not kept."""

    codes: ClassVar[frozenset[str]] = frozenset({"not_selected", "no_text"})

    k: int = Field(ge=1)
    """Rows to keep; 1.4 of 11.8 million for mathematics in the paper."""
    target: Lines = Field(min_length=1)
    """Texts that are wanted, or the path of a file with one on each line."""
    fields: tuple[Literal["instruction", "input", "output"], ...] = Field(
        default=("instruction",), min_length=1
    )
    """Which parts of a row are compared with the target."""
    n_buckets: int = Field(default=10_000, ge=2)
    """DSIR's; that of the paper is not known."""
    smoothing: float = Field(default=1.0, gt=0)
    """Added to the count of every bucket, in target and pool; our choice."""
    per_gram: bool = False
    """Whether to take the mean over n-grams, so that long rows are not extreme."""
    seed: int = 0
    """Of the draw: a row's chance depends on its id and weight alone."""

    def reads(self) -> frozenset[str]:
        """The parts are a parameter."""
        return frozenset({*self.fields, "messages"})

    def optional(self) -> frozenset[str]:
        """A conversation has no parts of its own."""
        return frozenset({"messages"})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 3) -> (n, 6); rows without words leave with their own code."""
        counts = np.zeros((2, self.n_buckets))
        for text in self.target:
            np.add.at(counts[0], buckets(text, self.n_buckets), 1)
        rows = table.to_pylist()
        for row in rows:
            np.add.at(counts[1], self._grams(row), 1)
        ratios = log_ratios(counts[0] + self.smoothing, counts[1] + self.smoothing)
        weights = np.array([self._log_weight(self._grams(row), ratios) for row in rows], np.float64)
        picks = drawn_by_weight(table, weights, self.seed)[: self.k]
        log.info("rows=%d effective=%.1f k=%d", len(rows), effective_size(weights), len(picks))
        codes = np.where(np.isnan(weights), "no_text", "not_selected")
        told = {"not_selected": f"k={self.k}", "no_text": f"{', '.join(self.fields)} without words"}
        return picked(table, picks, codes, told, log_weight=weights)

    def _grams(self, row: dict[str, Any]) -> list[int]:
        texts = [text for field in self.fields for text in parts(row, field)]
        return [bucket for text in texts for bucket in buckets(text, self.n_buckets)]

    def _log_weight(self, grams: list[int], ratios: Numbers) -> float:
        total = float(ratios[grams].sum()) if grams else float("nan")
        return total / len(grams) if self.per_gram and grams else total


def log_ratios(target: Numbers, pool: Numbers) -> Numbers:
    """Return log(p_target / p_pool) of every bucket from counts above 0, (b,), (b,) -> (b,)."""
    ratios: Numbers = np.log(target / target.sum()) - np.log(pool / pool.sum())
    return ratios


def effective_size(log_weights: Numbers) -> float:
    """Return (sum w)^2 / sum w^2, 1..n: of how many rows the draw is in truth; 0 without any."""
    there = log_weights[~np.isnan(log_weights)]
    weights = np.exp(there - there.max()) if len(there) else there
    return float(weights.sum() ** 2 / (weights**2).sum()) if len(there) else 0.0
