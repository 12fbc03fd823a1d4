"""SKILL-MIX: a short text on a topic that shows k skills at once, written and then improved.

Source: Zhao et al., "Can Models Learn Skill Composition from Examples?", arXiv:2409.19808,
sections 3 and 4; Yu et al., "Skill-Mix", arXiv:2310.17567. `filters.skill_mix_grades` comes next.
Differs from the papers: our own prompts, and a smaller list of skills of ours; the question of a
row asks for the text alone, since its answer has no explanation behind it. Every text is graded
alone: the best of several generations of one item, by which the paper measures models, is not
taken.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypedDict

from pydantic import ConfigDict, Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.rouge import rouge_l
from gristmill.text.turns import user

WRITE = """Write a short piece of natural text on a topic that shows every one of the skills \
below. Show the skills, do not name them."""
LABELS = """ Write the text behind "Answer:", then behind "Explanation:" say where each skill is."""
TOLD = """

Topic: {topic}
Sentences: at most {limit}
Skills:
{skills}"""
IMPROVE = """Improve your answer: every skill should be easy to find, the text should make sense \
and stay on the topic, in at most {limit} sentences. Use the same two labels."""
PARTS = re.compile(r"(?ims)^[ \t*#]*answer[\s*]*:[\s*]*(.+?)^[ \t*#]*explanation[\s*]*:[\s*]*(.*)")
COPIED = 0.7
"""ROUGE-L from which on a text is a skill's own example."""
SKILLS = Path(__file__).with_suffix(".examples.jsonl")


@dataclass(frozen=True, slots=True)
class Skill:
    """What a text should show."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    skill: str
    definition: str
    example: str
    category: str = ""

    def __str__(self) -> str:
        """Return it as prompts tell it."""
        return f"{self.skill}: {self.definition} Example: {self.example}"


def shipped() -> tuple[Skill, ...]:
    """Return the skills that come along."""
    return tuple(Skill(**json.loads(line)) for line in SKILLS.read_bytes().splitlines())


class Topic(TypedDict):
    """What it reads."""

    topic: str


class Mixed(TypedDict):
    """What it writes; `criteria` tell a grader of every skill."""

    instruction: str
    output: str
    gen: Gen
    explanation: str
    skills: list[str]
    criteria: list[str]
    limit: int
    """Sentences that the text may have."""


class SkillMix(RowStage):
    """Make `n` rows of a topic, each for other skills: the prompt, and the text that shows them."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"no_marker", "copied_example"}

    skills: tuple[Skill, ...] = Field(default_factory=shipped, min_length=1)
    """What texts may have to show; the list that comes along, or your own."""
    ks: tuple[int, ...] = Field(default=(1, 2, 3), min_length=1)
    """How many skills a text has, drawn evenly."""
    n: int = Field(default=3, ge=1)
    held_out: tuple[str, ...] = ()
    """Categories of skills kept for tests; held-out topics are none of your seeds."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=1024)
    """For both turns."""

    def needs(self) -> dict[str, Op]:
        """One role writes and improves."""
        return {"generator": "generate"}

    async def __call__(self, row: Topic, ctx: Context) -> list[Mixed | Drop]:
        """Draw the skills of every text by chance of its own."""
        known = [skill for skill in self.skills if skill.category not in self.held_out]
        asks = (self._one(row["topic"], known, ctx.branch(i)) for i in range(self.n))
        return await asyncio.gather(*asks)

    async def _one(self, topic: str, known: Sequence[Skill], ctx: Context) -> Mixed | Drop:
        k = min(ctx.rng.choice(self.ks), len(known))
        skills, limit, llm = ctx.rng.sample(known, k=k), max(1, k - 1), ctx.llm("generator")
        told = "\n".join(f"- {skill}" for skill in skills)
        told = TOLD.format(topic=topic, limit=limit, skills=told)
        prompt = f"{WRITE}{LABELS}{told}"
        first = await complete(llm, [user(prompt)], self.sampling)
        if isinstance(first, Drop):
            return first
        wrote = Message(role="assistant", content=first.text)
        turns = [user(prompt), wrote, user(IMPROVE.format(limit=limit))]
        last = await complete(llm, turns, self.sampling)
        if isinstance(last, Drop):
            return last
        if not (parts := PARTS.search(last.text)):
            return Drop("no_marker", last.text)
        text = parts[1].strip()
        if any(rouge_l(text, skill.example) > COPIED for skill in skills):
            return Drop("copied_example", text)
        return Mixed(
            instruction=f"{WRITE}{told}",
            output=text,
            gen=last.gen,
            explanation=parts[2].strip(),
            skills=[skill.skill for skill in skills],
            criteria=[str(skill) for skill in skills],
            limit=limit,
        )
