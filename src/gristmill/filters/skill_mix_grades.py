"""Grade a text that should show k skills: a point per skill, and for topic, sense and length.

Source: Zhao et al., "Can Models Learn Skill Composition from Examples?", arXiv:2409.19808,
section 3; Yu et al., "Skill-Mix", arXiv:2310.17567, section 4 (points, rounds, deduction).
Differs from the papers: our own prompt, answered in numbered lines; sentences are counted.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import ClassVar, Literal, TypedDict

from pydantic import Field

from gristmill.engines.requests import Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.sentences import count_sentences
from gristmill.text.words import words

GRADE = """Grade a short text, a point or none for each criterion. Reply with one line per \
criterion: its number, a vertical bar, and 1 or 0. A skill that is used wrongly gets 0.

### Criteria
{criteria}

### Text
{text}

### Grades"""
POINT = re.compile(r"(?m)^[^\w\n]*(\d+)\b[^|\n]*\|[ \t]*([01])[ \t]*\|?[ \t]*$")
Mixed = TypedDict(
    "Mixed",
    {
        "output": str,
        "topic": str,
        "meta.skill_mix.skills": list[str],
        "meta.skill_mix.criteria": list[str],
        "meta.skill_mix.limit": int,
    },
)


class Grades(TypedDict):
    """What it writes; `points` are those of the skills, then topic, sense and length."""

    points: list[int]
    full_marks: bool
    all_skills: bool
    """Every skill, and two of the other three points."""
    skill_rate: float
    """0..1: share of the skills; 0 unless the other three points are there."""


class SkillMixGrades(RowStage):
    """Grade a text `gradings` times; without full marks it leaves, its points in the detail."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"not_full_marks"}

    gradings: int = Field(default=3, ge=1)
    """A point is their rounded mean."""
    keep: Literal["full_marks", "all"] = "full_marks"
    """`all` is for measuring a model."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=512)

    def needs(self) -> dict[str, Op]:
        """A strong judge that did not write the text."""
        return {"judge": "generate"}

    async def __call__(self, row: Mixed, ctx: Context) -> Grades | Drop:
        """Ask for all gradings at once; a skill that the text names gets no point."""
        text, skills = row["output"], row["meta.skill_mix.skills"]
        told = [*row["meta.skill_mix.criteria"], f"The topic is: {row['topic']}"]
        criteria = [f"{i}. {one}" for i, one in enumerate([*told, "The text makes sense."], 1)]
        prompt = GRADE.format(criteria="\n".join(criteria), text=text)
        ask: list[Message] = [{"role": "user", "content": prompt}]
        llm, said = ctx.llm("judge"), list[str]()
        calls = [complete(llm, ask, self.sampling) for _ in range(self.gradings)]
        for reply in await asyncio.gather(*calls):
            if isinstance(reply, Drop):
                return reply
            said.append(reply.text)
        found: list[dict[str, str]] = [dict(POINT.findall(one)) for one in said]
        if not any(found):
            return Drop("unparsed_judge", said[-1])
        points = [rounded([one.get(f"{i + 1}") for one in found]) for i in range(len(criteria))]
        for i, skill in enumerate(skills):
            points[i] *= f" {' '.join(words(skill))} " not in f" {' '.join(words(text))} "
        points.append(int(count_sentences(text) <= row["meta.skill_mix.limit"]))
        full, all_skills, rate = marks(points)
        if self.keep == "full_marks" and not full:
            return Drop("not_full_marks", f"{points} for {skills}: {text}")
        return Grades(points=points, full_marks=full, all_skills=all_skills, skill_rate=rate)


def rounded(points: Sequence[str | None]) -> int:
    """Return the rounded mean of one criterion's points; one that is missing counts 0."""
    return round(sum(int(point or 0) for point in points) / len(points))


def marks(points: Sequence[int]) -> tuple[bool, bool, float]:
    """Return full marks, all skills with two of the other three, and the share of skills.

    The last three points are for topic, sense and length; without them the share is 0.
    """
    skills, rest = points[:-3], sum(points[-3:])
    rate = sum(skills) / len(skills) if rest == 3 else 0.0
    return all(points), all(skills) and rest >= 2, rate
