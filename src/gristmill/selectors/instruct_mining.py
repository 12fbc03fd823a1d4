"""InstructMining: keep the n best rows, with the n that a model learns most from.

Source: Cao et al., "Instruction Mining", arXiv:2307.06290: rows are sorted by the predicted loss
(`scorers.instruct_mining`); because the loss falls, rises and falls again with n, n is searched
for, by tuning a model on the first n and taking the loss on rows held out.
Differs from the paper: BlendSearch (flaml) is replaced by sizes in equal steps of log n, then steps
between the best size and its neighbours, because a training replays and a random search does not;
the rows held out are drawn from the table, unless a column names them.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.engines.training import Pair, Trains, mean_losses, pair
from gristmill.geometry.picks import best_first, by_id, drawn, numbers, picked
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import TableStage
from gristmill.text.turns import TEXTS, turns

log = logging.getLogger(__name__)


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the best; None was not picked."""
    size: int | None
    """The smallest size tried that takes in the row; None is in none."""
    loss: float | None
    """Of that size: nats per token of the rows held out, after training. Lower is better."""


class InstructMining(Trains, TableStage):
    """Sort, search the size, keep the first. One training per size tried, O(n log n) besides."""

    codes: ClassVar[frozenset[str]] = frozenset({"not_selected", "held_out", "unscored"})

    of: str = Field(default="scores.instruct_mining.score", pattern=r"^\w+(\.\w+)*$")
    """Column of a number, higher is better."""
    least: int = Field(default=16, ge=1)
    """The smallest size tried; the largest is every row that is not held out."""
    probes: int = Field(default=6, ge=1)
    """Sizes tried first, in equal steps of log n."""
    refine: int = Field(default=1, ge=0)
    """How often the middles between the best size and its neighbours are tried as well."""
    held_out: int = Field(default=200, ge=1)
    """Rows drawn by chance for the loss; at most half of those that have a score."""
    held_out_by: str | None = Field(default=None, pattern=r"^\w+(\.\w+)*$")
    """Instead: a column that is true where a row is held out. No rows of a benchmark's test."""
    seed: int = 0
    """Of the draw and of every training."""

    def reads(self) -> frozenset[str]:
        """The columns are parameters."""
        return TEXTS | {self.of} | ({self.held_out_by} if self.held_out_by else set())

    async def decide(self, table: pa.Table, ctx: Context) -> Annotated[pa.Table, Pick]:
        """(n, 6) -> (n, 7); rows held out, and rows without a score, leave with their codes."""
        scores = numbers(table[self.of])
        pairs = [pair(row["id"], turns(row)) for row in table.to_pylist()]
        there = ~np.isnan(scores) & np.array([found is not None for found in pairs], bool)
        outside = self._held_out(table, there)
        usable = np.where(there & ~outside, scores, np.nan)
        order = best_first(usable, by_id(table)).tolist()
        probe = [found for place in np.flatnonzero(outside) if (found := pairs[place])]
        losses = await self._search(ctx, [pairs[place] for place in order], probe)
        best = min(losses, key=lambda n: (losses[n], n), default=len(order))
        size: list[int | None] = [None] * len(table)
        for n in sorted(losses, reverse=True):
            for place in order[:n]:
                size[place] = n
        log.info("rows=%d held_out=%d k=%d tried=%s", len(order), len(probe), best, losses)
        codes = np.where(outside, "held_out", np.where(there, "not_selected", "unscored"))
        told = {
            "not_selected": f"k={best} gave the least loss of {len(losses)} sizes",
            "held_out": "kept apart to measure the loss",
            "unscored": f"{self.of} is null, or the row has no answer",
        }
        loss = [None if n is None else losses[n] for n in size]
        columns = {"size": pa.array(size, pa.int64()), "loss": pa.array(loss, pa.float64())}
        return picked(table, order[:best], codes, told, **columns)

    def _held_out(self, table: pa.Table, there: Any) -> Any:
        if self.held_out_by:
            return there & np.array([bool(v) for v in table[self.held_out_by].to_pylist()], bool)
        order = drawn(table, self.seed)
        order = order[there[order]]
        outside = np.zeros(len(table), bool)
        outside[order[: min(self.held_out, len(order) // 2)]] = True
        return outside

    async def _search(self, ctx: Context, pairs: list[Any], probe: list[Pair]) -> dict[int, float]:
        """Return the loss of every size tried."""
        losses: dict[int, float] = {}
        if not pairs or not probe:
            return losses
        sizes = np.geomspace(min(self.least, len(pairs)), len(pairs), self.probes)
        wanted = {round(size) for size in sizes}
        for _ in range(self.refine + 1):
            for n in sorted(wanted - losses.keys()):
                trained = await ctx.trainer.train(pairs[:n], probe, self.seed)
                (losses[n],) = mean_losses(trained.losses, {row.id: 0 for row in probe}, 1)
            best = min(losses, key=lambda n: (losses[n], n))
            near = [max((n for n in losses if n < best), default=best)]
            near.append(min((n for n in losses if n > best), default=best))
            wanted = {round((n * best) ** 0.5) for n in near}
        return losses
