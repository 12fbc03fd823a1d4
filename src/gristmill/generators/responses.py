"""Answer an instruction several times.

Majority votes, verifiers and preference pairs choose among them.

Source: Wang et al., "Self-Consistency Improves Chain of Thought Reasoning in Language Models",
arXiv:2203.11171, section 2.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.turns import question


class Asked(TypedDict):
    """What it reads; both are one message, without a note such as `<noinput>`."""

    instruction: str
    input: NotRequired[str | None]


class Answered(TypedDict):
    """What it writes."""

    output: str
    gen: Gen


class Responses(RowStage):
    """Make `n` rows of a row, each with its own response; unusable ones are dropped."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES

    n: int = Field(default=4, ge=1)
    """Responses per instruction."""
    sampling: Sampling = Sampling(temperature=0.8)

    def needs(self) -> dict[str, Op]:
        """One role."""
        return {"generator": "generate"}

    async def __call__(self, row: Asked, ctx: Context) -> list[Answered | Drop]:
        """Ask `n` times at once."""
        asking = question(row["instruction"], row.get("input"))
        ask: list[Message] = [{"role": "user", "content": asking}]
        llm = ctx.llm("generator")
        asked = (complete(llm, ask, self.sampling) for _ in range(self.n))
        replies = await asyncio.gather(*asked)
        return [r if isinstance(r, Drop) else {"output": r.text, "gen": r.gen} for r in replies]
