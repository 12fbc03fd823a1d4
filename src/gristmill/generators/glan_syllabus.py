"""GLAN, first steps: a discipline becomes subjects, and each subject a syllabus.

Source: Li et al., "Synthetic Data (Almost) from Scratch: Generalized Instruction Tuning for
Language Models", arXiv:2402.13064, sections 2.2 and 2.3. `generators.glan` asks the questions.
Differs from the paper: the taxonomy is your seeds, a discipline a row, and a node is removed by its
name; a subject that several lists of one discipline have gets one syllabus.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import detectors
from gristmill.text.json_lines import json_lines, texts
from gristmill.text.turns import user

SUBJECTS = """You are an expert in how a discipline is taught. List the subjects that a student of \
it should learn, from the first year to the most advanced: not chapters, but what could be a \
course. For each give its level, a short introduction and its sub-topics.

### Discipline
{discipline}

### Subjects"""
AS_JSON = """Write the subjects of your list again, one JSON object per line, inside one code \
fence, with three keys: "subject_name", "level", and "subtopics", a list of short texts."""
SYLLABUS = """You are an expert in how a subject is taught. Design its syllabus: a short overview, \
then the lessons in the order in which they are taught. For each lesson write what students learn \
in it and its key concepts, all of them specific to the subject.

### Subject
{subject}
Level: {level}
Sub-topics: {subtopics}

### Syllabus"""
LESSONS = """Write the lessons of your syllabus again, one JSON object per line, inside one code \
fence, with two keys: "lesson", its title, and "concepts", a list of its key concepts."""
GENERIC = ("introduction", "overview", "summary", "review", "conclusion", "basics", "exercises")
"""What is no concept of any subject."""


class Discipline(TypedDict):
    """What it reads: a leaf of the taxonomy, and the nodes above it."""

    discipline: str
    field: NotRequired[str | None]
    subfield: NotRequired[str | None]


class Lesson(TypedDict):
    """What is taught."""

    title: str
    concepts: list[str]


class Subject(TypedDict):
    """What it writes; `path` leads from field to subject."""

    path: list[str]
    level: str
    subtopics: list[str]
    syllabus: str
    lessons: list[Lesson]
    gen: Gen


class GlanSyllabus(RowStage):
    """Make rows of a discipline, one per subject, each with a syllabus."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {
        "refusal", "removed_node", "repeated", "no_subjects", "no_lessons"
    }  # fmt: skip

    queries: int = Field(default=10, ge=1)
    """Lists of subjects that are asked for; together they have 100 to 200 in the paper."""
    removed: tuple[str, ...] = ()
    """Nodes that people voted out, in any case: all below them goes as well."""
    sampling: Sampling = Sampling(temperature=1.0, top_p=0.95, max_tokens=4096)
    """For lists and syllabi; what turns them into JSON is greedy."""

    def needs(self) -> dict[str, Op]:
        """One role, the stronger model of the two."""
        return {"teacher": "generate"}

    async def __call__(self, row: Discipline, ctx: Context) -> list[Subject | Drop] | Drop:
        """List subjects `queries` times, then write a syllabus for each that is new."""
        path = list(filter(None, (row.get("field"), row.get("subfield"), row["discipline"])))
        if gone := {node.casefold() for node in path} & {node.casefold() for node in self.removed}:
            return Drop("removed_node", min(gone))
        asked = SUBJECTS.format(discipline=row["discipline"])
        listing = (self._twice(asked, AS_JSON, ctx.branch(i)) for i in range(self.queries))
        lists = await asyncio.gather(*listing)
        seen, made, todo = set[str](), list[Subject | Drop](), list[dict[str, Any]]()
        for found in lists:
            for said in [found] if isinstance(found, Drop) else json_lines(found[1]):
                name = str(said.get("subject_name") or "").strip() if isinstance(said, dict) else ""
                if isinstance(said, Drop):
                    made.append(said)
                elif isinstance(said, str) or not name:
                    made.append(Drop("bad_json", str(said)))
                elif name.casefold() in seen:
                    made.append(Drop("repeated", name))
                else:
                    seen.add(name.casefold())
                    todo.append({**said, "subject_name": name})
        branches = (ctx.branch(self.queries + i) for i in range(len(todo)))
        asks = (self._subject(s, path, at) for s, at in zip(todo, branches, strict=True))
        return [*await asyncio.gather(*asks), *made] or Drop("no_subjects", str(lists))

    async def _subject(self, said: dict[str, Any], path: list[str], ctx: Context) -> Subject | Drop:
        name, level = said["subject_name"], str(said.get("level") or "")
        subtopics = texts(said.get("subtopics"))
        asked = SYLLABUS.format(subject=name, level=level, subtopics=", ".join(subtopics))
        found = await self._twice(asked, LESSONS, ctx)
        if isinstance(found, Drop):
            return found
        syllabus, lines, gen = found
        told = [line for line in json_lines(lines) if isinstance(line, dict) and line.get("lesson")]
        lessons = [Lesson(title=str(one["lesson"]), concepts=_concepts(one)) for one in told]
        if not (lessons := [lesson for lesson in lessons if lesson["concepts"]]):
            return Drop("no_lessons", f"{name}: {lines}")
        return Subject(
            path=[*path, name], level=level, subtopics=subtopics, syllabus=syllabus,
            lessons=lessons, gen=gen,
        )  # fmt: skip

    async def _twice(self, asked: str, then: str, ctx: Context) -> tuple[str, str, Gen] | Drop:
        """Ask freely, then in the same conversation for JSON: at once, lists are worse."""
        llm, first = ctx.llm("teacher"), user(asked)
        free = await complete(llm, [first], self.sampling)
        if isinstance(free, Drop) or detectors.declines(free.text):
            return free if isinstance(free, Drop) else Drop("refusal", free.text)
        again = [first, Message(role="assistant", content=free.text), user(then)]
        lines = await complete(llm, again, Sampling(0.0, 1.0, self.sampling.max_tokens))
        return lines if isinstance(lines, Drop) else (free.text.strip(), lines.text, free.gen)


def _concepts(said: dict[str, Any]) -> list[str]:
    found = dict.fromkeys(texts(said.get("concepts")))
    return [concept for concept in found if concept.casefold() not in GENERIC]
