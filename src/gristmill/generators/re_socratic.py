"""ReSocratic, first step: new optimization problems, as demonstrations and not as questions.

Source: Yang et al., "OptiBench Meets ReSocratic: Measure and Improve LLMs for Optimization
Modeling", arXiv:2407.09887, section 4; `yangzhch6/ReSocratic` (Apache-2.0) for the rules of
parsing. `re_socratic_solve` comes next.
Differs from the paper: our own prompt and pool; a row shows the model its own demonstration alone,
and then beside each of the pool that comes after it, so that each pair is shown once. In the recipe
problems too much alike leave by their runs of words (`filters.near_duplicates`), not by TF-IDF.
"""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import ClassVar, TypedDict

import orjson
from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.demonstrations import joined, sections

INVENT = """Invent one optimization problem from another field than those shown, and write it in \
their form, with numbers that have a solution. The sections are `## Variables`, `## Objective`, \
then `## Constraint 1`, `## Constraint 2` and so on, at most five. Each has one line that people \
understand and that has every number, then lines that begin with `//` and say it formally. \
Constraints build on each other: with the first ones alone it is a problem too. Write the sections \
and nothing else."""
POOL = Path(__file__).with_suffix(".examples.jsonl")


class Seed(TypedDict):
    """What it reads: a demonstration, such as those of the pool."""

    demonstration: str


class Invented(TypedDict):
    """What it writes: `instruction` is its variables and objective in words."""

    instruction: str
    demonstration: str
    n_constraints: int
    gen: Gen


class ReSocratic(RowStage):
    """Ask for further problems like one demonstration, and like two of them."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"no_demonstration", "no_constraint"}

    singles: int = Field(default=100, ge=0)
    """Problems like the row's own demonstration."""
    pairs: int = Field(default=50, ge=0)
    """Problems like it and another one of the pool, for each of those."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=2000)

    def needs(self) -> dict[str, Op]:
        """One model invents."""
        return {"generator": "generate"}

    async def __call__(self, row: Seed, ctx: Context) -> list[Invented | Drop] | Drop:
        """Ask for all at once; a problem is cut where it leaves the form."""
        own = joined(sections(row["demonstration"]))
        if not own:
            return Drop("no_demonstration", row["demonstration"])
        pool = _pool()
        after = pool[pool.index(own) + 1 :] if own in pool else pool
        shown = [own] * self.singles
        shown += [f"{own}\n\n\n{other}" for other in after for _ in range(self.pairs)]
        asked = [complete(ctx.llm("generator"), _request(text), self.sampling) for text in shown]
        replies = await asyncio.gather(*asked)
        if not replies:
            return Drop("no_demonstration", "singles and pairs are 0")
        return [r if isinstance(r, Drop) else _invented(r.text, r.gen) for r in replies]


def _request(shown: str) -> list[Message]:
    return [{"role": "user", "content": f"{INVENT}\n\n\n{shown}"}]


def _invented(text: str, gen: Gen) -> Invented | Drop:
    found = sections(text)
    if len(found) < 3:
        return Drop("no_constraint", text)
    return {
        "instruction": "\n".join(part.text for part in found[:2]),
        "demonstration": joined(found),
        "n_constraints": len(found) - 2,
        "gen": gen,
    }


@cache
def _pool() -> tuple[str, ...]:
    """Return the demonstrations that come along, as they are written."""
    lines = [orjson.loads(line) for line in POOL.read_bytes().splitlines()]
    return tuple(joined(sections(line["demonstration"])) for line in lines)
