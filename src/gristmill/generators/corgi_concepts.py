"""CORGI, first step: the academic concepts of a course, from its entry in a catalogue.

Source: Lee et al., "Instruction Tuning with Human Curriculum", arXiv:2310.09518, section 3.1.
`scorers.embedding` and `filters.semantic_duplicates` come next, then `generators.corgi`.
Differs from the paper: our own prompt.
"""

from __future__ import annotations

from typing import ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.leaks import leak, markers
from gristmill.text.numbered import numbered

PROMPT = """Below is a course as a catalogue has it. List the academic concepts it teaches, in the \
order in which they are taught: concrete ones, as chapters and sections of a textbook name them, \
each in at most eight words. Leave out what is about dates, credits, exams, rooms, teachers or \
requirements. Reply with a numbered list.

### Course
{course} ({subject}, {education})
{description}

### Concepts"""
MARKERS = markers([PROMPT])


class Course(TypedDict):
    """What it reads; `education` is a stage, such as secondary, undergraduate or graduate."""

    course: str
    subject: str
    education: str
    description: NotRequired[str | None]


class Concept(TypedDict):
    """What it writes: the concept as an instruction, until there is one."""

    instruction: str
    gen: Gen
    place: int
    """The concept's number in its course, from 0."""


class CorgiConcepts(RowStage):
    """Make a row per concept of a course."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {
        "no_list", "repeated", "template_leak", "wrong_length"
    }  # fmt: skip

    most: int = Field(default=12, ge=1)
    """Words of a concept above which it is a sentence and leaves. Our choice."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=1024)

    def needs(self) -> dict[str, Op]:
        """One teacher."""
        return {"teacher": "generate"}

    async def __call__(self, row: Course, ctx: Context) -> list[Concept | Drop] | Drop:
        """Ask once; a list that was cut loses its last concept."""
        prompt = PROMPT.format(
            course=row["course"], subject=row["subject"], education=row["education"],
            description=row.get("description") or "",
        )  # fmt: skip
        ask: list[Message] = [{"role": "user", "content": prompt}]
        reply = await complete(ctx.llm("teacher"), ask, self.sampling, whole=False)
        if isinstance(reply, Drop):
            return reply
        if not (items := numbered(reply.text)):
            return Drop("no_list", reply.text)
        made, seen = list[Concept | Drop](), set[str]()
        for place, item in enumerate(items):
            concept = item.rstrip(".")
            if place == len(items) - 1 and reply.finish_reason == "length":
                made.append(Drop("cut_off", concept))
            elif mark := leak(concept, MARKERS):
                made.append(Drop("template_leak", f"'{mark}' in: {concept}"))
            elif (n := len(concept.split())) > self.most:
                made.append(Drop("wrong_length", f"{n} words: {concept}"))
            elif concept.casefold() in seen:
                made.append(Drop("repeated", concept))
            else:
                seen.add(concept.casefold())
                made.append(Concept(instruction=concept, gen=reply.gen, place=place))
        return made
