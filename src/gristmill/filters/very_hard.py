"""Let no more than a share of the instructions be very hard: rounds of evolution overshoot.

Source: Hui et al., "Smaller Language Models Are Better Instruction Evolvers", arXiv:2412.11231,
section 5: a judge calls every instruction one of five words; nearly 70 % of a third round are very
hard, and following instructions gets worse.
Differs from the paper: our own prompt; they only show the shares, the cap is ours.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, ClassVar, Literal, NotRequired, TypedDict, get_args

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.engines.requests import Message, Op, Sampling
from gristmill.geometry.picks import drawn
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import complete
from gristmill.pipelines.stage import Drop, TableStage, decisions
from gristmill.storage.rows import TEXT
from gristmill.text.plurals import counted
from gristmill.text.turns import question
from gristmill.text.words import words

PROMPT = """How hard is it for a good assistant to answer an instruction well? Think of the \
knowledge it takes, the steps, and how many conditions an answer has to meet. Reply with one of: \
very easy, easy, medium, hard, very hard.

### Instruction
{instruction}

### How hard"""
Level = Literal["very easy", "easy", "medium", "hard", "very hard"]
LEVELS: tuple[Level, ...] = get_args(Level)


class Asked(TypedDict):
    """What it reads."""

    instruction: str
    input: NotRequired[str | None]


class Hardness(TypedDict):
    """What it writes."""

    level: Level | None
    """None where the judge said none of the five; such a row stays and counts for nothing."""


class VeryHard(TableStage):
    """Ask about every row, greedily; of those too many, which leave is chance by their ids."""

    codes: ClassVar[frozenset[str]] = frozenset({"too_many_very_hard"})

    max_rate: float = Field(default=0.4, ge=0, lt=1)
    """Share (0..1) of the rows with a level that may be very hard. Our choice."""
    seed: int = 0
    """Of the chance."""

    def needs(self) -> dict[str, Op]:
        """The judge writes a word or two."""
        return {"judge": "generate"}

    async def decide(
        self, table: Annotated[pa.Table, Asked], ctx: Context
    ) -> Annotated[pa.Table, Hardness]:
        """(n, 3) -> (n, 5)."""
        rows = table.to_pylist()
        asks = (self._level(row, ctx.branch(i)) for i, row in enumerate(rows))
        levels = await asyncio.gather(*asks)
        hard = np.array([level == "very hard" for level in levels], bool)
        others = sum(level is not None for level in levels) - int(hard.sum())
        k = most(others, self.max_rate)
        order = drawn(table, self.seed)
        keep = ~hard
        keep[order[hard[order]][:k]] = True
        detail = f"{hard.sum()} of {counted(int(others + hard.sum()))}"
        made = pa.array(levels, TEXT)
        return decisions(table, keep.tolist(), "too_many_very_hard", detail, level=made)

    async def _level(self, row: Any, ctx: Context) -> Level | None:
        text = question(row["instruction"], row.get("input"))
        ask: list[Message] = [{"role": "user", "content": PROMPT.format(instruction=text)}]
        how = Sampling(temperature=0.0, max_tokens=8)
        reply = await complete(ctx.llm("judge"), ask, how, whole=False)
        said = [] if isinstance(reply, Drop) else words(reply.text)
        return next(
            (level for level in LEVELS if said[: level.count(" ") + 1] == words(level)), None
        )


def most(others: int, rate: float) -> int:
    """Return how many may join so many others and still be `rate` (0..1) of all."""
    return int(rate * others / (1 - rate) + 1e-9)
