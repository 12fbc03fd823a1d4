"""Evol-Instruct: make an instruction harder or rarer, round by round, and answer every version.

Source: Xu et al., "WizardLM: Empowering Large Language Models to Follow Complex Instructions",
arXiv:2304.12244, section 3 and appendix A.
Differs from the paper: our own prompts; a child that declines, answers or plainly repeats its
parent goes without a judge, one that is judged out without an answer; a seed's own answer stays.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar, Literal, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.handles import Llm
from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete, judge
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.leaks import markers
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.rewrites import REWRITE_FLAWS, rewrite_flaw
from gristmill.text.turns import question

DEPTH = """You make instructions harder. Rewrite the base instruction so that it asks for somewhat \
more than before, yet stays reasonable: people must understand it and be able to answer it. Keep \
code, tables and data in it as they are. Add 10 to 20 words at most. Reply with the rewrite alone; \
never mention a base instruction or a harder instruction.
How: {how}

### Base instruction
{instruction}

### Harder instruction"""
BREADTH = """You invent instructions. Write one new instruction from the same field as the base \
instruction, about something rarer. Make it about as long and as hard, and answerable by people. \
Reply with the new instruction alone; never mention a base instruction or a fresh instruction.

### Base instruction
{instruction}

### Fresh instruction"""
JUDGE = """Does the second instruction ask for anything that the first does not: another demand, \
more depth, a wider scope or another subject? Reply with one word: same or different.

### First instruction
{parent}

### Second instruction
{child}

### Same or different"""
EXAMPLES = Path(__file__).with_suffix(".examples.jsonl").read_text(encoding="utf-8").splitlines()
IN_DEPTH = {
    "constraint": "add one more constraint or requirement.",
    "deepen": "where it asks about an issue, ask about it in more depth and breadth.",
    "concretize": "put specific notions in the place of general ones.",
    "reasoning": "when little thought is enough for it, demand an answer in several steps.",
    "complicate_input": "write data for it to work on, a small table, XML, JSON or code, below it, "
    + "\n\n".join(["as in these examples.", *map(json.loads, EXAMPLES)]),
}
TEMPLATES = {name: DEPTH.replace("{how}", how) for name, how in IN_DEPTH.items()}
TEMPLATES |= {"breadth": BREADTH, "judge": JUDGE, "answer": "{instruction}"}
"""Every prompt by name, before the row's text goes in."""
MARKERS = markers([DEPTH, BREADTH])
Operator = Literal["constraint", "deepen", "concretize", "reasoning", "complicate_input", "breadth"]
PUBLIC: tuple[Operator, ...] = ("constraint", "deepen", "concretize", "reasoning", "breadth")


def render(template: str, **texts: str) -> list[Message]:
    """Return the chat that one of TEMPLATES makes of the texts."""
    return [{"role": "user", "content": TEMPLATES[template].format(**texts)}]


class Seed(TypedDict):
    """What it reads."""

    instruction: str
    input: NotRequired[str | None]
    output: NotRequired[str | None]


class Version(TypedDict):
    """What it writes; `lineage` names the operators since the seed, `original` what that asks."""

    instruction: str
    input: str | None
    output: str
    gen: Gen | None
    lineage: list[str]
    original: str


class EvolInstruct(RowStage):
    """Make rows of a row: itself (child 0), then child r in round r, a Drop if eliminated."""

    version: ClassVar[int] = 3
    codes: ClassVar[frozenset[str]] = REPLY_CODES | REWRITE_FLAWS | NON_ANSWERS

    rounds: int = Field(default=4, ge=1)
    """Evolutions tried one after the other, each from the last version that held."""
    operators: tuple[Operator, ...] = Field(default=PUBLIC, min_length=1)
    """Drawn from uniformly. Default: the published code's; the paper adds `complicate_input`."""
    sampling: Sampling = Sampling(temperature=1.0, top_p=0.95, max_tokens=2048)
    """For evolutions and answers, as in the published code; the judge is greedy."""

    def needs(self) -> dict[str, Op]:
        """One role evolves, judges and answers."""
        return {"generator": "generate"}

    async def __call__(self, row: Seed, ctx: Context) -> list[Version | Drop]:
        """Answer the seed if it brings no answer, then evolve and answer round by round."""
        llm, given, output = ctx.llm("generator"), row.get("input"), row.get("output")
        text = question(row["instruction"], given)
        seed = Version(
            instruction=row["instruction"], input=given, output=output or "", gen=None,
            lineage=(lineage := list[str]()), original=text,
        )  # fmt: skip
        versions = [seed if output else await self._answer(seed, text, llm)]
        for _ in range(self.rounds):
            operator = ctx.rng.choice(self.operators)
            made: str | Version | Drop = await self._evolve(text, operator, llm)
            if isinstance(made, str):
                child: Version = {**seed, "instruction": made, "input": None}
                made = await self._answer({**child, "lineage": [*lineage, operator]}, made, llm)
            if not isinstance(made, Drop):
                text, lineage = made["instruction"], made["lineage"]
            versions.append(made)
        return versions

    async def _evolve(self, text: str, operator: str, llm: Llm) -> str | Drop:
        reply = await complete(llm, render(operator, instruction=text), self.sampling)
        if isinstance(reply, Drop):
            return reply
        if flaw := rewrite_flaw(child := reply.text.strip(), text, MARKERS):
            return Drop(*flaw)
        said = await judge(llm, render("judge", parent=text, child=child), {"same", "different"})
        if said == "same":
            return Drop("no_gain", f"judged the same: {child}")
        return child if said == "different" else said

    async def _answer(self, version: Version, text: str, llm: Llm) -> Version | Drop:
        reply = await complete(llm, render("answer", instruction=text), self.sampling)
        if isinstance(reply, Drop):
            return reply
        if code := non_answer(reply.text):
            return Drop(code, reply.text)
        return {**version, "output": reply.text.strip(), "gen": reply.gen}
