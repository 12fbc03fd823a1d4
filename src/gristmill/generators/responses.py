"""Answer an instruction several times."""

from __future__ import annotations

import asyncio
from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Completion, Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import Drop, RowStage


class Asked(TypedDict):
    """What it reads."""

    instruction: str


class Answered(TypedDict):
    """What it writes."""

    output: str
    gen: Gen


class Responses(RowStage):
    """Make `n` rows of a row, each with its own response; empty ones are dropped."""

    codes: ClassVar[frozenset[str]] = frozenset({"empty", "cut_off"})

    n: int = Field(default=4, ge=1)
    """Responses per instruction."""
    sampling: Sampling = Sampling(temperature=0.8)

    def needs(self) -> dict[str, Op]:
        """One role."""
        return {"generator": "generate"}

    async def __call__(self, row: Asked, ctx: Context) -> list[Answered | Drop]:
        """Ask `n` times at once."""
        ask: list[Message] = [{"role": "user", "content": row["instruction"]}]
        llm = ctx.llm("generator")
        answers = await asyncio.gather(*(llm.generate(ask, self.sampling) for _ in range(self.n)))
        return [_row(answer) for answer in answers]


def _row(answer: Completion) -> Answered | Drop:
    if answer.finish_reason == "length":
        return Drop("cut_off", f"{answer.completion_tokens} tokens")
    if not answer.text.strip():
        return Drop("empty")
    return {"output": answer.text, "gen": answer.gen}
