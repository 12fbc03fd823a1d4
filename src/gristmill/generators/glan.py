"""GLAN, last steps: homework questions from concepts of one or two lessons, and their answers.

Source: Li et al., "Synthetic Data (Almost) from Scratch: Generalized Instruction Tuning for
Language Models", arXiv:2402.13064, section 2.4. `generators.glan_syllabus` comes before.
Differs from the paper: our own prompts; sizes and concepts are drawn evenly, not from a list of all
combinations.
"""

from __future__ import annotations

import asyncio
import random
from math import comb
from typing import ClassVar, Literal, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import detectors
from gristmill.text.leaks import heads, leak, markers
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.turns import user

QUESTION = """You set homework for a class that follows the syllabus below. Write one question: \
clear, complete in itself, and answerable by students who know everything up to the lessons named \
last. It should need several of the key concepts named there, and not ask what they mean. Reply \
with the question alone.

### Syllabus of {subject}
{syllabus}

### Lessons and key concepts
{chosen}

### Homework question"""
MARKS = markers([QUESTION])
MOST = 5
"""Concepts of a question, at most."""
Strategy = Literal["one_lesson", "two_lessons"]


class Lesson(TypedDict):
    """A title, and what is taught."""

    title: str
    concepts: list[str]


Subject = TypedDict(
    "Subject",
    {
        "meta.glan_syllabus.path": list[str],
        "meta.glan_syllabus.syllabus": str,
        "meta.glan_syllabus.lessons": list[Lesson],
    },
)


class Homework(TypedDict):
    """What it writes; `lessons` and `concepts` are those that the question was asked for."""

    instruction: str
    output: str
    gen: Gen
    path: list[str]
    strategy: Strategy
    lessons: list[str]
    concepts: list[str]


class Glan(RowStage):
    """Make up to `n` rows of a subject, no more than it has combinations of concepts."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | NON_ANSWERS | {"template_leak", "answered"}

    n: int = Field(default=20, ge=1)
    """Questions per subject. All of them begin with the same syllabus."""
    asking: Sampling = Sampling(temperature=1.0, top_p=0.95, max_tokens=1024)
    answering: Sampling = Sampling(temperature=0.7, top_p=0.95, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """A stronger model asks, a cheaper one answers."""
        return {"teacher": "generate", "student": "generate"}

    async def __call__(self, row: Subject, ctx: Context) -> list[Homework | Drop]:
        """Ask for all questions at once, and answer each in a call of its own."""
        sizes = [len(lesson["concepts"]) for lesson in row["meta.glan_syllabus.lessons"]]
        pairs = ((m, k) for i, m in enumerate(sizes) for k in sizes[:i])
        most = sum(map(one_lesson, sizes)) + sum(two_lessons(m, k) for m, k in pairs)
        asks = (self._one(row, ctx.branch(i)) for i in range(min(self.n, most)))
        return await asyncio.gather(*asks)

    async def _one(self, row: Subject, ctx: Context) -> Homework | Drop:
        chosen = choose(row["meta.glan_syllabus.lessons"], ctx.rng)
        path = row["meta.glan_syllabus.path"]
        told = "\n".join(f"- {one['title']}: {', '.join(one['concepts'])}" for one in chosen)
        syllabus = row["meta.glan_syllabus.syllabus"]
        prompt = QUESTION.format(subject=path[-1], syllabus=syllabus, chosen=told)
        asked = await complete(ctx.llm("teacher"), [user(prompt)], self.asking)
        if isinstance(asked, Drop):
            return asked
        question, marks = asked.text.strip(), MARKS | heads([prompt])  # those of the syllabus, too
        if (mark := leak(question, marks)) or detectors.answers(question):
            return Drop("template_leak" if mark else "answered", f"{mark}: {question}")
        if detectors.declines(question):
            return Drop("refusal", question)
        reply = await complete(ctx.llm("student"), [user(question)], self.answering)
        if isinstance(reply, Drop):
            return reply
        if code := non_answer(reply.text):
            return Drop(code, reply.text)
        return Homework(
            instruction=question,
            output=reply.text.strip(),
            gen=reply.gen,
            path=path,
            strategy="one_lesson" if len(chosen) == 1 else "two_lessons",
            lessons=[one["title"] for one in chosen],
            concepts=[concept for one in chosen for concept in one["concepts"]],
        )


def choose(lessons: list[Lesson], rng: random.Random) -> list[Lesson]:
    """Draw one lesson with 1 to 5 of its concepts, or two with 2 to 5, one of each at least."""
    n = min(len(lessons), rng.choice((1, 2)))
    drawn = sorted(rng.sample(range(len(lessons)), k=n))
    every = [(i, concept) for i in drawn for concept in lessons[i]["concepts"]]
    must = [(i, rng.choice(lessons[i]["concepts"])) for i in drawn]
    rest = [one for one in every if one not in must]
    taken = {*must, *rng.sample(rest, k=rng.randint(0, min(MOST - n, len(rest))))}
    concepts = {i: [c for j, c in every if j == i and (j, c) in taken] for i in drawn}
    return [Lesson(title=lessons[i]["title"], concepts=concepts[i]) for i in drawn]


def one_lesson(m: int) -> int:
    """Return how many sets of 1 to 5 concepts a lesson with m has."""
    return sum(comb(m, i) for i in range(1, MOST + 1))


def two_lessons(m: int, k: int) -> int:
    """Return how many sets of 2 to 5 concepts two lessons have together, one of each at least."""
    return sum(comb(m + k, i) - comb(m, i) - comb(k, i) for i in range(2, MOST + 1))
