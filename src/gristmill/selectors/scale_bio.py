"""ScaleBiO: find the mixture of sources after which a model does best on rows of your own.

Source: Pan et al., "ScaleBiO: Scalable Bilevel Optimization for LLM Data Reweighting",
arXiv:2406.19976, algorithm 1: two models, one on the weighted sources alone, one that also sees
validation rows; sources on which the second does better gain weight; p = softmax(lambda).
Differs from the paper: a step is a whole training on one batch, with the trainer's own optimizer
and rate, from where the last one ended; batches have every source, so that none goes without a
loss; a row counts by its tokens; no LISA; it stops early where the logits stand still, which is our
choice. What floors would lose goes to the largest remainders, and what a source does not have, to
the others. Weights are of sources: rows are drawn by chance.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Annotated, Any, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.engines.requests import Op
from gristmill.engines.training import Pair, mean_losses, pair
from gristmill.errors import InputError
from gristmill.geometry.picks import Indices, Numbers, drawn, picked
from gristmill.geometry.quotas import at_rest, first_of_each, groups, quotas, softmax, source_step
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import TableStage
from gristmill.text.turns import TEXTS, turns

log = logging.getLogger(__name__)
PATH = r"^\w+(\.\w+)*$"


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the first drawn, sources mixed; None was not."""
    share: float | None
    """0..1: of the row's source in the mixture that was found."""


class ScaleBio(TableStage):
    """Learn shares, draw `k` rows by them. Two trainings per round; O(n log n) besides."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = frozenset({"not_selected", "validation", "no_source"})

    k: int = Field(ge=1)
    """Rows to keep; 20,000 in the authors' runs."""
    by: str = Field(default="source", pattern=PATH)
    """Column with the source's name."""
    validation_by: str = Field(default="is_validation", pattern=PATH)
    """Column that is true where a row stands for what is wanted: never of a benchmark's test."""
    shares: tuple[tuple[str, float], ...] = ()
    """What was learned elsewhere: [[source, share]]; then nothing is trained, and `validation_by`
    is not read. A source that is not named has none."""
    rounds: int = Field(default=20, ge=1)
    """Steps of the shares, at most."""
    still: float = Field(default=1e-3, ge=0)
    """They end where a step moves no logit's mean over the last 5 steps by more; 0: never early."""
    batch: int = Field(default=128, ge=1)
    """Rows of a round, as many of each source; as many validation rows at most."""
    alpha: float = Field(default=100.0, gt=0)
    """How heavily training counts against validation; 10 to 100 in the authors' runs."""
    rate: float = Field(default=0.01, gt=0)
    """Of the steps of the shares; theirs."""
    seed: int = 0
    """Of draws and trainings."""

    def reads(self) -> frozenset[str]:
        """The columns are parameters."""
        return TEXTS | {self.by} | (set() if self.shares else {self.validation_by})

    def optional(self) -> frozenset[str]:
        """A row may come in several shapes."""
        return TEXTS - {self.by}

    def needs(self) -> dict[str, Op]:
        """Shares come from trainings, unless they are given."""
        return {} if self.shares else {"trainer": "train"}

    async def decide(self, table: pa.Table, ctx: Context) -> Annotated[pa.Table, Pick]:
        """(n, 6) -> (n, 6); validation rows, and rows without a source or an answer, leave."""
        pairs = [pair(row["id"], turns(row)) for row in table.to_pylist()]
        names, of = groups(table[self.by])
        marks = [] if self.shares else table[self.validation_by].to_pylist()
        outside = np.array([bool(mark) for mark in marks or [False] * len(table)], bool)
        of = np.where(np.array([found is None for found in pairs], bool) | outside, -1, of)
        there = np.unique(of[of >= 0])  # some may only have validation rows
        names, of = [names[i] for i in there], np.where(of < 0, -1, np.searchsorted(there, of))
        order = drawn(table, self.seed)
        if self.shares:
            p = np.array([dict(self.shares).get(name, 0.0) for name in names])
        else:
            wanted = [found for place in order[outside[order]] if (found := pairs[place])]
            p = await self._learn(ctx, pairs, names, of, order, wanted)
        sizes = np.bincount(of[of >= 0], minlength=len(names))
        counts = quotas(self.k, p, sizes)
        log.info("sources=%s shares=%s rows=%s of=%s", names, p, counts, sizes)
        codes = np.where(outside, "validation", np.where(of < 0, "no_source", "not_selected"))
        told: dict[str, Any] = {
            "not_selected": [f"rows: {counts[g]} of {sizes[g]}" if g >= 0 else "" for g in of],
            "validation": f"{self.validation_by} is true",
            "no_source": f"{self.by} is null, or the row has no answer",
        }
        share = np.append(p, np.nan)[of] if len(of) else np.empty(0)
        return picked(table, first_of_each(order, of, counts), codes, told, share=share)

    async def _learn(
        self, ctx: Context, pairs: list[Any], names: list[str], of: Indices, order: Indices,
        wanted: list[Pair],
    ) -> Numbers:  # fmt: skip
        """Return the share of every source, (k,)."""
        logits, n = np.zeros(len(names)), len(names)
        places = [order[of[order] == i] for i in range(n)]
        if n < 2:
            return np.ones(n)
        if not wanted:
            raise InputError(
                f"scale_bio: no row with an answer has '{self.validation_by}'; mark rows that "
                "stand for what is wanted, or give shares"
            )
        size, path, alone, aware = self.batch // n or 1, [logits], "", ""
        for number in range(self.rounds):
            # The next ones of every source, each at most once; after the last the first again.
            rows = [np.roll(found, -number * size)[:size] for found in places]
            p = softmax(logits).tolist()
            weight = {pairs[i].id: p[s] / len(rows[s]) for s in range(n) for i in rows[s]}
            source = {pairs[i].id: s for s in range(n) for i in rows[s]}
            batch: list[Pair] = [pairs[i] for found in rows for i in found]
            probe = np.roll(np.arange(len(wanted)), -number * self.batch)[: self.batch]
            plain = [replace(row, weight=weight[row.id]) for row in batch]
            both = [replace(row, weight=self.alpha * weight[row.id]) for row in batch]
            both += [replace(wanted[i], weight=1 / len(probe)) for i in probe]
            first = await ctx.trainer.train(plain, [], self.seed + number, alone)
            second = await ctx.trainer.train(both, [], self.seed + number, aware)
            alone, aware = first.model, second.model
            losses = np.array([mean_losses(made.losses, source, n) for made in (second, first)])
            if not np.isfinite(losses).all():
                raise InputError("scale_bio: no row of a source fits the trainer's max_model_len")
            logits = source_step(logits, losses[0], losses[1], self.alpha, self.rate)
            path.append(logits)
            log.info("round=%d sources=%s shares=%s", number, names, softmax(logits))
            if at_rest(path, self.still):
                break
        return softmax(path[-1])
