"""Skill-It: mix skills round by round, by what each still lacks and what teaches it.

Source: Chen et al., "Skill-it! A Data-Driven Skills Framework for Understanding and Training
Language Models", arXiv:2307.14430, section 3.2 and algorithm 1: A_ij is how much training on skill
i lowers the loss on skill j; round t draws rows of skill i in proportion to exp(eta * sum over the
last `window` rounds, and over j, of A_ij L_j).
Differs from the paper: an edge is learned on `proxy` rows (its linear form counts steps); skills
are evaluated on rows held out of the table; one without rows left gives its share to the others.
Rounds go on from each other's model. The authors expect no gain from a nearly full or empty graph.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.engines.training import Trains, mean_losses, pair
from gristmill.geometry.picks import Indices, Numbers, drawn, picked
from gristmill.geometry.quotas import first_of_each, groups, quotas, skill_shares
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import TableStage
from gristmill.text.turns import TEXTS, turns

log = logging.getLogger(__name__)
Edges = tuple[tuple[str, str, float], ...]


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is trained on first, round after round; None was not drawn."""
    round: int | None
    """0 is the first."""
    share: float | None
    """0..1: of the row's skill in that round."""


class SkillIt(Trains, TableStage):
    """Draw `rounds` times; one training per skill and round. O(n log n) besides."""

    codes: ClassVar[frozenset[str]] = frozenset({"not_selected", "held_out", "no_skill"})

    k: int = Field(ge=1)
    """Rows of all rounds together."""
    by: str = Field(default="source", pattern=r"^\w+(\.\w+)*$")
    """Column with the skill."""
    rounds: int = Field(default=6, ge=1)
    """6 in most of the paper's runs."""
    eta: float = Field(default=0.5, ge=0)
    """How sharply shares follow losses, which are not normalised: find your own; .1 to .8 there."""
    window: int = Field(default=3, ge=1)
    """Rounds whose losses count."""
    held_out: int = Field(default=50, ge=1)
    """Rows of every skill that its loss is measured on; at most half of them."""
    proxy: int = Field(default=200, ge=1)
    """Rows of a skill that an edge is learned from."""
    edges: Edges = ()
    """What was learned elsewhere instead: [[from, to, weight]]; what is not named weighs 0."""
    seed: int = 0
    """Of draws and trainings."""

    def reads(self) -> frozenset[str]:
        """The column of skills is a parameter."""
        return TEXTS | {self.by}

    def optional(self) -> frozenset[str]:
        """A row may come in several shapes."""
        return TEXTS - {self.by}

    async def decide(self, table: pa.Table, ctx: Context) -> Annotated[pa.Table, Pick]:
        """(n, 6) -> (n, 7); rows without a skill or an answer leave with a code of their own."""
        pairs = [pair(row["id"], turns(row)) for row in table.to_pylist()]
        names, of = groups(table[self.by])
        of = np.where(np.array([found is None for found in pairs], bool), -1, of)
        order = drawn(table, self.seed)
        apart = first_of_each(order, of, np.minimum(self.held_out, _sizes(of, len(names)) // 2))
        free = of.copy()
        free[apart] = -1
        probe = [pairs[place] for place in apart]
        skill = {
            found.id: int(of[place]) for place, found in zip(apart, probe, strict=True) if found
        }

        async def train(rows: Indices, model: str) -> tuple[Numbers, Numbers, str]:
            some: list[Any] = [pairs[place] for place in rows]
            found = await ctx.trainer.train(some, [p for p in probe if p], self.seed, model)
            before = mean_losses(found.losses, skill, len(names), first=True)
            after = mean_losses(found.losses, skill, len(names))
            return np.nan_to_num(before, posinf=0), np.nan_to_num(after, posinf=0), found.model

        edges = await self._adjacency(train if skill else None, names, order, free)
        turn, share = np.full(len(table), -1, np.int64), np.full(len(table), np.nan)
        losses, picks, model = list[Numbers](), list[int](), ""
        for number, size in enumerate(quotas(self.k, [1.0] * self.rounds, [self.k] * self.rounds)):
            p = skill_shares(edges, losses, self.eta, self.window)
            now = first_of_each(order, free, quotas(int(size), p, _sizes(free, len(names))))
            turn[now], share[now], free[now] = number, p[of[now]], -1
            picks += now.tolist()
            log.info("round=%d rows=%d skills=%s shares=%s", number, len(now), names, p)
            if number + 1 < self.rounds and len(now) and skill:
                before, _, model = await train(now, model)
                losses.append(before)
        codes = np.where(of < 0, "no_skill", "not_selected").astype(object)
        codes[apart] = "held_out"
        told = {
            "not_selected": f"k={self.k}",
            "held_out": "kept apart to measure its skill",
            "no_skill": f"{self.by} is null, or the row has no answer",
        }
        columns = {"round": pa.array(turn, mask=turn < 0), "share": share}
        return picked(table, picks, codes, told, **columns)

    async def _adjacency(
        self, train: Any, names: list[str], order: Indices, free: Indices
    ) -> Numbers:
        """Return (skills, skills): what training on the first takes off the loss on the second."""
        found = np.zeros((len(names), len(names)))
        for one, other, weight in self.edges:
            if one in names and other in names:
                found[names.index(one), names.index(other)] = weight
        for i in range(len(names) if train and not self.edges else 0):
            rows = order[free[order] == i][: self.proxy]
            if len(rows):
                before, after, _ = await train(rows, "")
                found[i] = np.maximum(0, before - after)
        return found


def _sizes(of: Indices, n: int) -> Indices:
    return np.bincount(of[of >= 0], minlength=n).astype(np.int64)
