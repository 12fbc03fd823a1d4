"""STAT-Syn: new questions that train the skills which a student's answer lacked.

Source: He et al., "Skill-Targeted Adaptive Training" (STAT), arXiv:2510.10023, section 3.2: for
every difficult question and every skill missing from the student's answer (`scorers.skills` with
`of: missing`) a teacher sees three questions of that skill and writes two new ones. Then come three
answers to each (`generators.responses`), of which those stay that at least two agree on
(`filters.majority`).
Differs from the paper: its code is not public; our own prompt, and a bank of our own.
"""

from __future__ import annotations

import asyncio
import json
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, TypedDict

from pydantic import Field, model_validator

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.formats.text_lines import Lines, read_lines
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.leaks import markers
from gristmill.text.rewrites import REWRITE_FLAWS, listed

PROMPT = """A student lacks a skill. Write new questions by which it can be learned. Each takes the
skill, is complete in itself, has one short final answer, and is about other things than the
examples and each other are. Reply with a numbered list of questions, without answers.

### Number of new questions
{n}

### Skill
{skill}

### Examples
{examples}

### New questions"""
MARKERS = markers([PROMPT]) - {"Skill", "Examples"}
BANK = Path(__file__).with_suffix(".examples.jsonl")


class Question(TypedDict):
    """What it writes."""

    instruction: str
    gen: Gen
    skill: str
    """The missing skill that it was asked for."""


class StatSyn(RowStage):
    """Make two questions per missing skill of a difficult one; a row that lacks none leaves."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | REWRITE_FLAWS | {
        "copied_example", "no_list", "over_limit", "no_skill", "no_example"
    }  # fmt: skip

    by: str = Field(default="scores.skills.skills", pattern=r"^\w+(\.\w+)*$")
    """Column with a list of the missing skills."""
    bank: Lines = Field(default_factory=lambda: read_lines(str(BANK)), min_length=1)
    """Questions of known skills, a JSON object with `instruction` and `skills` on each line, or the
    path of a file of them; the one that comes along has school mathematics."""
    shots: int = Field(default=3, ge=1)
    """Questions of the skill that are shown, drawn from the bank."""
    n: int = Field(default=2, ge=1)
    """New questions per skill."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=1024)

    @model_validator(mode="after")
    def _is_readable(self) -> StatSyn:
        by_skill(self.bank)
        return self

    def reads(self) -> frozenset[str]:
        """The labels are a parameter; the question itself is not shown."""
        return frozenset({self.by})

    def needs(self) -> dict[str, Op]:
        """The teacher writes."""
        return {"teacher": "generate"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> list[Question | Drop] | Drop:
        """Ask once per skill, for all at once."""
        names = dict.fromkeys(row[self.by] or ())
        if not names:
            return Drop("no_skill", f"{self.by} is null or empty")
        asked = (self._list(name, ctx.branch(i)) for i, name in enumerate(names))
        return [made for found in await asyncio.gather(*asked) for made in found]

    async def _list(self, skill: str, ctx: Context) -> list[Question | Drop]:
        """Ask for the questions of one skill, and look at each alone."""
        pool = by_skill(self.bank).get(skill, ())
        if not pool:
            return [Drop("no_example", f"the bank has no question of '{skill}'")]
        shown = ctx.rng.sample(pool, min(self.shots, len(pool)))
        examples = "\n".join(f"- {text}" for text in shown)
        said = PROMPT.format(n=self.n, skill=skill, examples=examples)
        ask: list[Message] = [{"role": "user", "content": said}]
        reply = await complete(ctx.llm("teacher"), ask, self.sampling, whole=False)
        if isinstance(reply, Drop):
            return [reply]
        is_cut = reply.finish_reason == "length"
        return [
            Drop(flaw, text) if flaw else Question(instruction=text, gen=reply.gen, skill=skill)
            for flaw, text in listed(reply.text, shown, MARKERS, self.n, is_cut=is_cut)
        ]


@lru_cache(maxsize=4)
def by_skill(bank: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the questions of every skill, in order; ValueError for other lines."""
    found: dict[str, tuple[str, ...]] = {}
    for line in bank:
        try:
            row = json.loads(line)
            text, names = row["instruction"].strip(), dict.fromkeys(row["skills"])
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
            text, names = "", {}
        if not text or not all(isinstance(name, str) for name in names):
            raise ValueError(
                'a bank\'s lines are objects such as {"instruction": "Is 91 a prime?", "skills": '
                f'["divisibility and primes"]}}, found {line!r}'
            )
        for name in names:
            found[name] = (*found.get(name, ()), " ".join(text.split()))
    return found
