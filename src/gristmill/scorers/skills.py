"""Skills: which ones a question takes, or which ones a student's answer to it lacks.

Source: He et al., "Skill-Targeted Adaptive Training" (STAT), arXiv:2510.10023, section 3: a teacher
labels a question with up to five skills of a list; it names the skills missing from an answer where
the question is difficult: the last step's reward or the mean is at most 0.85, or one before is at
most 0.7.
Differs from the paper: our own prompts and a short list (theirs, 128 skills of MATH, come from the
teacher: give your own); the rewards, of steps as the reward model was trained, are your column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypedDict

from pydantic import Field

from gristmill.engines.passes import flagged
from gristmill.engines.requests import Message, Op, Sampling
from gristmill.formats.text_lines import Lines
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.turns import turns
from gristmill.text.words import words

NEEDED = """Below are a list of skills and a problem. Which skills does the problem take? Write the
names of at most {most} skills exactly as in the list, one on each line, the most important first,
and nothing else. Where none of them fits, write: none

### Skills
{skills}

### Problem
{problem}

### Skills that it takes"""
MISSING = """Below are a list of skills, a problem, and an answer by a student. Which skills would
the student have needed and does not show? Write the names of at most {most} skills exactly as in
the list, one on each line, the most serious first, and nothing else. Where nothing is missing,
write: none

### Skills
{skills}

### Problem
{problem}

### Answer
{answer}

### Skills that are missing"""
SKILLS = (
    "fractions and decimals", "ratios and percentages", "linear equations", "quadratic equations",
    "inequalities", "functions and graphs", "sequences and series", "exponents and logarithms",
    "divisibility and primes", "modular arithmetic", "counting and combinations", "probability",
    "angles and triangles", "area and volume", "trigonometry", "careful reading of the conditions",
)  # fmt: skip
TINY = 1e-9  # a mean of .85 may come out as .8500000000000001


class Labelled(TypedDict, total=False):
    """What it writes."""

    skills: list[str] | None
    """Names of the list, most important first; None: nobody could say."""
    n_unknown: int
    """Lines of the reply that are in no list; a high share calls for another list."""
    is_difficult: bool | None
    """Whether the rewards say so; None without them."""
    flags: list[str]
    """`empty_prompt`, `empty_response` and `judge_parse_fail` are added."""


class Skills(RowStage):
    """Ask once per row, greedily; an easy question is not asked about."""

    of: Literal["needed", "missing"] = "needed"
    """The skills that the question takes, or those that its answer lacks."""
    skills: Lines = Field(default=SKILLS, min_length=1)
    """The closed list, or the path of a file with a name on each line."""
    most: int = Field(default=5, ge=1)
    """Skills per row; the paper's."""
    steps: str | None = Field(default=None, pattern=r"^\w+(\.\w+)*$")
    """Column of a process reward model's rewards, 0..1 per step; None: every row is asked about."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=128)

    def reads(self) -> frozenset[str]:
        """The row as it is, and the rewards."""
        return self.optional() | ({self.steps} if self.steps else set())

    def optional(self) -> frozenset[str]:
        """A row may come in several shapes."""
        return frozenset({"instruction", "input", "output", "messages", "flags"})

    def judges(self) -> frozenset[str]:
        """What is asked about must be there."""
        return frozenset({"instruction"} if self.of == "needed" else {"instruction", "output"})

    def needs(self) -> dict[str, Op]:
        """The judge is the teacher: it writes."""
        return {"judge": "generate"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> Labelled:
        """Ask about what stands before the last answer, and the answer where skills are missing."""
        difficult = is_difficult(row[self.steps]) if self.steps else None
        *before, last = turns(row) or [{"role": "assistant", "content": ""}]
        if last["role"] != "assistant":
            before, last = [*before, last], {"role": "assistant", "content": ""}
        lacks = "empty_response" if before else "empty_prompt"
        if not before or (self.of == "missing" and not last["content"].strip()):
            return _labelled(row, None, 0, difficult, lacks)
        if difficult is False:
            return _labelled(row, [], 0, difficult)
        template = NEEDED if self.of == "needed" else MISSING
        problem = "\n\n".join(turn["content"] for turn in before)
        asked = template.format(
            most=self.most, skills="\n".join(self.skills), problem=problem, answer=last["content"]
        )
        messages: list[Message] = [{"role": "user", "content": asked}]
        reply = await complete(ctx.llm("judge"), messages, self.sampling, whole=False)
        found, n_unknown = ([], 1) if isinstance(reply, Drop) else read(reply.text, self.skills)
        if not found and n_unknown:
            return _labelled(row, None, n_unknown, difficult, "judge_parse_fail")
        return _labelled(row, found[: self.most], n_unknown, difficult)


def _labelled(row: Any, found: Any, n: int, difficult: bool | None, *flags: str) -> Labelled:
    made: Labelled = {"skills": found, "n_unknown": n, "is_difficult": difficult}
    made.update(flagged(row, flags))  # type: ignore[typeddict-item]  # a part of Labelled
    return made


def read(reply: str, skills: Iterable[str]) -> tuple[list[str], int]:
    """Return the skills that the lines of a reply name, each once, and how many lines name none."""
    known = {" ".join(words(name)): name for name in skills}
    lines = [" ".join(words(line)).lstrip("0123456789 ") for line in reply.splitlines()]
    lines = [line for line in lines if line and line != "none"]
    found = dict.fromkeys(known[line] for line in lines if line in known)
    return list(found), sum(line not in known for line in lines)


def is_difficult(
    rewards: Sequence[float] | None, last: float = 0.85, step: float = 0.7
) -> bool | None:
    """Say whether the rewards of an answer's steps call its question difficult."""
    if not rewards or None in rewards:
        return None
    mean = sum(rewards) / len(rewards)
    return min(rewards[-1], mean) <= last + TINY or min(rewards[:-1], default=1) <= step + TINY
