"""Infinity Instruct, phase 2: evolve informative seeds, then again what students answer badly.

Source: Li et al., "Infinity Instruct", arXiv:2506.11116 (phase 2). Before it come
`scorers.infinity_labels`, `merged_labels` and `selectors.infinity_seeds`, behind it
`scorers.diagnosis`; what is weak there is evolved in the next round.
Differs from the paper: known from accounts of it. Our own prompts; the rewriter says in a second
turn whether the new instruction is the same or harmful; no conversation is continued.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.leaks import markers
from gristmill.text.pools import rows_where
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.rewrites import REWRITE_FLAWS, rewrite_flaw
from gristmill.text.turns import question, user
from gristmill.text.words import first_words

EVOLVE = """Turn an instruction into a more demanding one that people still understand and can \
answer in writing. Keep its language, and code, tables and data in it as they are. Add 10 to 20 \
words at most. Write the new instruction alone. What changes: {how}

### Starting instruction
{instruction}

### Demanding instruction"""
CHECK = """Compare your new instruction with the starting one, and judge it. Reply with two words: \
"same" if both ask for the same thing in other words, else "different"; then "harmful" if a good \
answer to the new one could do harm, else "harmless"."""
OPERATORS = {
    "constraint": "it adds a requirement that the answer has to meet.",
    "deepen": "it goes deeper into the matter, or covers more sides of it.",
    "concretize": "it puts particular cases in the place of general words.",
    "reasoning": "it takes several steps of reasoning where one was enough.",
}
"""The four ways in depth of Evol-Instruct (arXiv:2304.12244)."""
MARKERS = markers([EVOLVE])
PATH = r"^\w+(\.\w+)*$"


class Evolved(TypedDict):
    """What it writes."""

    instruction: str
    input: str | None
    output: str
    gen: Gen
    lineage: list[str]
    """Operators applied since the seed, in order."""
    labels: list[str]
    """The seed's."""
    made_from: str


class InfinityInstruct(RowStage):
    """Round 0 evolves and answers the seed; a later one what the seed became and was weak."""

    codes: ClassVar[frozenset[str]] = (
        REPLY_CODES | REWRITE_FLAWS | NON_ANSWERS | {"harmful", "not_weak"}
    )

    labels: str = Field(default="scores.merged_labels.labels", pattern=PATH)
    """Column with the seed's labels."""
    weak: str = Field(default="scores.diagnosis.is_weak", pattern=PATH)
    """Column of the pool that says which rows are evolved again."""
    evolving: Sampling = Sampling(temperature=1.0, top_p=0.95, max_tokens=2048)
    answering: Sampling = Sampling(temperature=0.7, max_tokens=2048)

    def reads(self) -> frozenset[str]:
        """The labels are a parameter."""
        return frozenset({"instruction", "input", "root", self.labels})

    def optional(self) -> frozenset[str]:
        """A seed need not have an input."""
        return frozenset({"input"})

    def needs(self) -> dict[str, Op]:
        """One strong model evolves, judges and answers."""
        return {"generator": "generate"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> list[Evolved | Drop] | Drop:
        """Look up what is to be evolved, and do so at once."""
        if not ctx.round:
            todo = [(question(row["instruction"], row.get("input")), list[str]())]
        else:
            todo = self._weak(row["root"], ctx)
        if not todo:
            return Drop("not_weak", f"nothing of {row['root']} was weak in round {ctx.round - 1}")
        labels = row[self.labels] or []
        asks = (self._one(*one, labels, ctx.branch(i)) for i, one in enumerate(todo))
        return await asyncio.gather(*asks)

    def _weak(self, root: str, ctx: Context) -> list[tuple[str, list[str]]]:
        """Return text and lineage of the seed's descendants that were weak a round ago."""
        assert ctx.pool is not None
        rows = rows_where(ctx.pool, self.weak, round=ctx.round - 1, root=root)
        pairs = zip(rows["instruction"].to_pylist(), rows["meta"].to_pylist(), strict=True)
        return [(text, json.loads(meta)[ctx.label]["lineage"]) for text, meta in pairs]

    async def _one(
        self, text: str, lineage: list[str], labels: list[str], ctx: Context
    ) -> Evolved | Drop:
        operator = ctx.rng.choice(list(OPERATORS))
        child = await self._evolve(text, operator, ctx)
        if isinstance(child, Drop):
            return child
        answer = await complete(ctx.llm("generator"), [user(child)], self.answering)
        if isinstance(answer, Drop):
            return answer
        if code := non_answer(answer.text):
            return Drop(code, answer.text)
        return Evolved(
            instruction=child, input=None, output=answer.text.strip(), gen=answer.gen,
            lineage=[*lineage, operator], labels=labels, made_from=text,
        )  # fmt: skip

    async def _evolve(self, text: str, operator: str, ctx: Context) -> str | Drop:
        """Ask for the new instruction, and in the same conversation what is wrong with it."""
        llm, how = ctx.llm("generator"), OPERATORS[operator]
        asked = user(EVOLVE.format(how=how, instruction=text))
        reply = await complete(llm, [asked], self.evolving)
        if isinstance(reply, Drop):
            return reply
        if flaw := rewrite_flaw(child := reply.text.strip(), text, MARKERS):
            return Drop(*flaw)
        turns = [asked, Message(role="assistant", content=reply.text), user(CHECK)]
        said = await complete(llm, turns, Sampling(temperature=0.0, max_tokens=8), whole=False)
        if isinstance(said, Drop):
            return said
        verdict = " ".join(first_words(said.text, 2))
        if verdict == "different harmless":
            return child
        if verdict == "different harmful":
            return Drop("harmful", child)
        return Drop("no_gain" if verdict.startswith("same harm") else "unparsed_judge", child)
