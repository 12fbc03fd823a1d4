"""SPaR, second half: refine a failed answer by tree search, and pair it with what came of it.

Source: Cheng et al., "SPaR: Self-Play with Tree-Search Refinement to Improve Instruction-Following
in Large Language Models", arXiv:2412.11605, sections 2.3 and 2.4; `thu-coai/SPaR` (Apache-2.0):
5 answers, 5 judgements, branches of 3, the best 2 of a level, depth 3, accepted above 0.5.
Differs from the paper: our own prompts; three of the judgements must be readable; equal answers are
judged once; where nothing is accepted there is no pair; no rows to tune the refiner with.
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
from gristmill.text.judgements import MIN_VOTES, Judged, judged
from gristmill.text.tree_search import TreeSearch

JUDGE = """Judge whether a response follows its instruction in everything. Look at one demand \
after the other and explain what you find; then write a line "Final Judgement:" and below it Yes \
or No.

### Instruction
{instruction}

### Response
{response}

### Explanation"""
REFINE = """Write the response again so that it follows the instruction in everything. Change \
nothing else. Put the new response between [[start]] and [[end]]."""
RETRIES = 3


class Asked(TypedDict):
    """What it reads."""

    instruction: str


class Pair(TypedDict):
    """What it writes."""

    prompt: str
    chosen: str
    rejected: str
    value: float
    """0..1: share of the judgements in favour of the chosen answer."""
    nodes: int
    """Refinements that were judged."""


class SparSearch(RowStage):
    """Answer, judge, refine a failed answer until the judge is content, and make a pair."""

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

    async def __call__(self, row: Asked, ctx: Context) -> Pair | Drop:
        """Find a failed answer, then a refinement of it that passes."""
        instruction, llm = row["instruction"], ctx.llm("generator")
        ask = [Message(role="user", content=instruction)]
        drawn = await asyncio.gather(*(complete(llm, ask, self.act) for _ in range(self.n)))
        texts = {one.text.strip(): one for one in drawn if not isinstance(one, Drop)}
        if not texts:
            return next(one for one in drawn if isinstance(one, Drop))
        judge, known = ctx.llm("judge"), {*texts}
        seen = await self._judged(instruction, texts, judge)
        failed = [one for one in seen if one.value < 0.5]
        if not failed:
            return Drop("all_pass", f"none of {len(texts)} answers was judged a failure")
        root = ctx.rng.choice(failed)

        async def expand(group: Sequence[Judged]) -> list[Judged]:
            made = await self._refined(instruction, group, judge)
            new = [text for text in made if text not in known]
            known.update(new)
            return await self._judged(instruction, new, judge)

        search = TreeSearch(expand, self.accept, self.beam, self.search == "bfs")
        best = await search.find([root], self.max_depth)
        nodes = len(known) - len(texts)
        if best is None:
            return Drop("not_refined", f"{nodes} refinements")
        return Pair(
            prompt=instruction, chosen=best.text, rejected=root.text, value=best.value, nodes=nodes
        )

    async def _refined(
        self, instruction: str, group: Sequence[Judged], llm: Llm
    ) -> dict[str, None]:
        """Return new answers, each once; what cannot be read is asked for again."""
        todo = [node for node in group for _ in range(self.branch)]
        made = dict[str, None]()
        for _ in range(RETRIES + 1):
            asked = [complete(llm, _refining(instruction, node), self.judge) for node in todo]
            replies = await asyncio.gather(*asked)
            found = [None if isinstance(one, Drop) else between(one.text) for one in replies]
            made |= dict.fromkeys(filter(None, found))
            todo = [node for node, one in zip(todo, found, strict=True) if not one]
        return made

    async def _judged(self, instruction: str, texts: Collection[str], llm: Llm) -> list[Judged]:
        """Return those that enough judgements could be read of."""
        asked = [
            [complete(llm, _judging(instruction, text), self.judge) for _ in range(self.votes)]
            for text in texts
        ]
        said = await asyncio.gather(*(asyncio.gather(*calls) for calls in asked))
        found = [
            judged(text, [one.text for one in replies if not isinstance(one, Drop)])
            for text, replies in zip(texts, said, strict=True)
        ]
        return [one for one in found if one]


def _judging(instruction: str, text: str) -> list[Message]:
    return [{"role": "user", "content": JUDGE.format(instruction=instruction, response=text)}]


def _refining(instruction: str, node: Judged) -> list[Message]:
    said = Message(role="assistant", content=node.critique)
    return [*_judging(instruction, node.text), said, Message(role="user", content=REFINE)]
