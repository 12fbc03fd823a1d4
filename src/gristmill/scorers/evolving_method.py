"""Auto Evol-Instruct's optimizer: the method of evolving learns from evolutions that failed.

Source: Zeng et al., "Automatic Instruction Evolving for Large Language Models", arXiv:2406.00770,
sections 3.2 and 3.3. `generators.auto_evol` evolves by the method.
Differs from the paper: known from accounts of it; our own prompts and words of failure; a method
whose final version cannot be found, or is no answerable rewrite, fails there, too.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, ClassVar, NotRequired, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.engines.requests import Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import complete
from gristmill.pipelines.stage import Drop, TableStage, decisions
from gristmill.text.evolving_plans import LAST, METHOD, failure, final_version, marks, request
from gristmill.text.refusals import non_answer
from gristmill.text.rewrites import rewrite_flaw
from gristmill.text.turns import question, user

ANALYSE = """Instructions were made harder, again and again, by the method below. Say in a list \
where that went wrong: what grew no harder, what was lost, what nobody could answer.

### Method
{method}

### Instructions, and what became of them
{stages}

### What went wrong"""
IMPROVE = """Write a better method of making instructions harder, for the one below and what went \
wrong with it. It works for every kind of instruction, names none, and keeps steps below headings; \
the last step has the heading "Final version", as it stands there. Reply with the method alone.

### Method
{method}

### What went wrong
{feedback}

### Better method"""
Rows = list[dict[str, Any]]


class Seed(TypedDict):
    """What it reads."""

    instruction: str
    input: NotRequired[str | None]


class Fitted(TypedDict):
    """What it writes, the same for all rows."""

    method: str
    score: float | None
    """0..1, higher is better: share of the trials that did not fail; None if none was made."""
    steps: int
    """How often a better method was found."""


class EvolvingMethod(TableStage):
    """Try methods on the first rows, the best is every row's; off, it is the one we wrote."""

    version: ClassVar[int] = 3

    optimizer: bool = False
    """Whether to ask anybody; a step costs (1 + `candidates`) calls and `candidates` trials. A run
    with a target searches once if a tenth of the seeds, its first wave, has all its rows."""
    steps: int = Field(default=10, ge=1)
    """Steps at most; it ends with the first that finds no better method."""
    trials: int = Field(default=50, ge=1)
    """Rows that every method is tried on; a trial is two calls, evolution and answer."""
    batch: int = Field(default=10, ge=1)
    """Rows behind them, others in each step, whose evolutions are analysed: the last that count."""
    rounds: int = Field(default=3, ge=1)
    """How often each of these is evolved, by the paper's account."""
    candidates: int = Field(default=5, ge=1)
    evolving: Sampling = Sampling(temperature=0.0, max_tokens=2048)
    improving: Sampling = Sampling(temperature=0.6, top_p=0.95, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """The strong model that answers analyses and improves as well."""
        return {"evolver": "generate", "responder": "generate"} if self.optimizer else {}

    async def decide(
        self, table: Annotated[pa.Table, Seed], ctx: Context
    ) -> Annotated[pa.Table, Fitted]:
        """(n, 3) -> (n, 6); every row stays."""
        off, n = (METHOD, None, 0), len(table)
        found = await self._search(table.to_pylist(), ctx) if self.optimizer else off
        kinds = zip(self.writes().items(), found, strict=True)
        same = {name: pa.array([one] * n, kind) for (name, kind), one in kinds}
        return decisions(table, [True] * n, "", **same)

    async def _search(self, rows: Rows, ctx: Context) -> tuple[str, float, int]:
        """Improve the method until that no longer helps."""
        tried, rest = rows[: self.trials], rows[self.trials :] or rows
        best, score, step = METHOD, await self._worth(METHOD, tried, ctx.branch(0)), 0
        while score < 1 and step < self.steps:
            at = ctx.branch(step + 1)
            some = [rest[i % len(rest)] for i in range(step * self.batch, (step + 1) * self.batch)]
            found = await self._improved(best, some, at.branch(0))
            asks = (self._worth(one, tried, at.branch(1 + i)) for i, one in enumerate(found))
            worths = await asyncio.gather(*asks)
            if max(worths, default=0.0) <= score:
                break
            score, step = max(worths), step + 1
            best = found[worths.index(score)]
        return best, score, step

    async def _improved(self, method: str, rows: Rows, ctx: Context) -> list[str]:
        """Have evolutions of some rows analysed; return the methods that are written for that."""
        chains = (self._chain(method, row, ctx.branch(i)) for i, row in enumerate(rows))
        stages = "\n\n".join(map("\n-> ".join, await asyncio.gather(*chains)))
        llm, how = ctx.llm("responder"), self.improving
        said = await complete(llm, [user(ANALYSE.format(method=method, stages=stages))], how)
        if isinstance(said, Drop):
            return []
        ask = [user(IMPROVE.format(method=method, feedback=said.text.strip()))]
        replies = await asyncio.gather(*(complete(llm, ask, how) for _ in range(self.candidates)))
        texts = [reply.text.strip() for reply in replies if not isinstance(reply, Drop)]
        return list(dict.fromkeys(text for text in texts if LAST.search(text)))

    async def _chain(self, method: str, row: dict[str, Any], ctx: Context) -> list[str]:
        chain = [question(row["instruction"], row["input"])]
        while len(chain) <= self.rounds and (text := await self._evolve(method, chain[-1], ctx)):
            chain.append(text)
        return chain

    async def _evolve(self, method: str, text: str, ctx: Context) -> str | None:
        reply = await complete(ctx.llm("evolver"), [user(request(method, text))], self.evolving)
        found = None if isinstance(reply, Drop) else final_version(reply.text)
        return found[1] if found and not rewrite_flaw(found[1], text, marks(method)) else None

    async def _worth(self, method: str, rows: Rows, ctx: Context) -> float:
        trials = (self._holds(method, row, ctx.branch(i)) for i, row in enumerate(rows))
        return sum(await asyncio.gather(*trials)) / max(1, len(rows))

    async def _holds(self, method: str, row: dict[str, Any], ctx: Context) -> bool:
        text = await self._evolve(method, question(row["instruction"], row["input"]), ctx)
        if not text:
            return False
        reply = await complete(ctx.llm("responder"), [user(text)], self.evolving, whole=False)
        return not (isinstance(reply, Drop) or non_answer(reply.text) or failure(reply.text))
