"""SPaR, second half: refine a failed answer by tree search, and pair it with what came of it.

Source: Cheng et al., "SPaR: Self-Play with Tree-Search Refinement to Improve Instruction-Following
in Large Language Models", arXiv:2412.11605, sections 2.3 and 2.4; `thu-coai/SPaR` (Apache-2.0):
5 answers, 5 judgements, branches of 3, the best 2 of a level, depth 3, accepted above 0.5.
Differs from the paper: our own prompts; three of the judgements must be readable; equal answers are
judged once; where nothing is accepted there is no pair. `spar_refiner` makes rows of the search.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import ClassVar, Literal, TypedDict

from pydantic import Field

from gristmill.engines.handles import Llm
from gristmill.engines.requests import Message, Op, Sampling
from gristmill.generators.spar import between
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.judgements import (
    JUDGE,
    MIN_VOTES,
    REFINE,
    Grown,
    Judged,
    Refined,
    judged,
    refined,
)  # fmt: skip
from gristmill.text.tree_search import TreeSearch

RETRIES = 3


class Asked(TypedDict):
    """What it reads."""

    instruction: str


class SparSearch(RowStage):
    """Answer, judge, refine a failed answer until the judge is content, and make a pair."""

    version: ClassVar[int] = 3
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"all_pass", "not_refined"}

    n: int = Field(default=5, ge=1)
    """Answers drawn."""
    votes: int = Field(default=5, ge=MIN_VOTES)
    """Judgements of each answer."""
    search: Literal["bfs", "dfs"] = "bfs"
    branch: int = Field(default=3, ge=1)
    """Refinements of a node."""
    beam: int = Field(default=2, ge=1)
    """Nodes of a level that are refined further."""
    max_depth: int = Field(default=3, ge=1)
    accept: float = Field(default=0.5, ge=0, lt=1)
    """A node's value must be above it."""
    act: Sampling = Sampling(temperature=0.9, top_p=0.9, max_tokens=2048)
    judge: Sampling = Sampling(temperature=0.7, max_tokens=2048)
    """For judgements and refinements."""

    def needs(self) -> dict[str, Op]:
        """The actor answers, the refiner judges and refines; in the paper one model is both."""
        return {"generator": "generate", "judge": "generate"}

    async def __call__(self, row: Asked, ctx: Context) -> Refined | Drop:
        """Find a failed answer, then a refinement of it that passes."""
        grown = await self.grow(row["instruction"], ctx)
        if isinstance(grown, Drop):
            return grown
        if grown.root is None:
            return Drop("all_pass", f"none of {len(grown.answers)} answers was judged a failure")
        if grown.best is None:
            return Drop("not_refined", f"{len(grown.made)} refinements")
        return refined(row["instruction"], grown, grown.root, grown.best)

    async def grow(self, instruction: str, ctx: Context) -> Grown | Drop:
        """Answer, judge, and search for a refinement of one answer that failed."""
        llm, judge = ctx.llm("generator"), ctx.llm("judge")
        ask = [Message(role="user", content=instruction)]
        drawn = await asyncio.gather(*(complete(llm, ask, self.act) for _ in range(self.n)))
        known = dict.fromkeys(one.text.strip() for one in drawn if not isinstance(one, Drop))
        if not known:
            return next(one for one in drawn if isinstance(one, Drop))
        answers = await self._judged(instruction, [*known], judge)
        failed = [one for one in answers if one.value < 0.5]
        if not failed:
            return Grown(answers)
        root, made = ctx.rng.choice(failed), list[tuple[Judged, Judged]]()

        async def expand(group: Sequence[Judged]) -> list[Judged]:
            found = await self._refined(instruction, group, judge)
            new = {text: parent for text, parent in found.items() if text not in known}
            known.update(dict.fromkeys(new))
            level = await self._judged(instruction, new, judge)
            made.extend((new[one.text], one) for one in level)
            return level

        search = TreeSearch(expand, self.accept, self.beam, self.search == "bfs")
        return Grown(answers, root, made, await search.find([root], self.max_depth))

    async def _refined(
        self, instruction: str, group: Sequence[Judged], llm: Llm
    ) -> dict[str, Judged]:
        """Return new answers and what each was made of; what is not readable is asked for again."""
        todo, made = [node for node in group for _ in range(self.branch)], dict[str, Judged]()
        for _ in range(RETRIES + 1):
            asked = [complete(llm, refining(instruction, node), self.judge) for node in todo]
            replies = await asyncio.gather(*asked)
            found = ["" if isinstance(one, Drop) else between(one.text) for one in replies]
            for node, text in zip(todo, found, strict=True):
                made.setdefault(text, node)
            todo = [node for node, text in zip(todo, found, strict=True) if not text]
        made.pop("", None)
        return made

    async def _judged(self, instruction: str, texts: Collection[str], llm: Llm) -> list[Judged]:
        """Return those that enough judgements could be read of."""
        asked = [
            [complete(llm, judging(instruction, text), self.judge) for _ in range(self.votes)]
            for text in texts
        ]
        said = await asyncio.gather(*(asyncio.gather(*calls) for calls in asked))
        found = [
            judged(text, [one.text for one in replies if not isinstance(one, Drop)])
            for text, replies in zip(texts, said, strict=True)
        ]
        return [one for one in found if one]


def judging(instruction: str, text: str) -> list[Message]:
    """Ask whether a response follows its instruction."""
    return [{"role": "user", "content": JUDGE.format(instruction=instruction, response=text)}]


def refining(instruction: str, node: Judged) -> list[Message]:
    """Ask for a response that does, after what was found."""
    said = Message(role="assistant", content=node.critique)
    return [*judging(instruction, node.text), said, Message(role="user", content=REFINE)]
