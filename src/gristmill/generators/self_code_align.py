"""SelfCodeAlign: a base model turns real code into concepts, a task, and answers with tests.

Source: Wei et al., "SelfCodeAlign: Self-Alignment for Code Generation", arXiv:2410.24198,
section 2 and appendix; `bigcode-project/selfcodealign` (Apache-2.0) for the parsing rules.
Differs from the paper: our own prompts and examples; a row's shots are one of `shot_sets` fixed
draws, so that rows share prefixes, and half as many where they do not fit; parts close with tags.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import ClassVar, TypedDict

import orjson
from pydantic import Field

from gristmill.engines.handles import Llm
from gristmill.engines.requests import Completion, Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.few_shot import Form, halves
from gristmill.text.tested_code import Flaw, divide

CONCEPTS = Form(
    "Name the programming concepts that a developer needs to write each snippet.",
    ("code", "concepts"),
)
INSTRUCTION = Form(
    "Write original, complete programming tasks that fit the properties without naming the "
    "concepts.",
    ("property", "instruction"),
)
RESPONSE = Form(
    "Solve each programming task in Python, then verify the solution with executable asserts.",
    ("instruction", "response", "tests"),
)
EXAMPLES = Path(__file__).with_suffix(".examples.jsonl")
Ask = tuple[str, Sampling]


class Seed(TypedDict):
    """What it reads."""

    code: str


class Solved(TypedDict):
    """What it writes: `output` is the whole response, `tests` the code of the test blocks."""

    instruction: str
    output: str
    tests: str
    concepts: list[str]
    category: str
    difficulty: str
    gen: Gen


class SelfCodeAlign(RowStage):
    """Make one task of a function, and `n` rows of it, each with an answer and its tests."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | frozenset(
        {"no_concepts", "not_two_parts", "placeholder", "no_code", "no_tests", "no_assert"}
    )

    version: ClassVar[int] = 2
    shots: int = Field(default=8, ge=0, le=20)
    """Worked examples before the concepts and before the instruction, of the 21 there are."""
    response_shots: int = Field(default=1, ge=0, le=20)
    """Worked examples before the response."""
    shot_sets: int = Field(default=16, ge=1)
    """Fixed draws of the shots; rows with the same one share their prefix. Our choice."""
    n: int = Field(default=10, ge=1)
    """Responses per instruction."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=1536)

    def needs(self) -> dict[str, Op]:
        """One model plays every part."""
        return {"generator": "generate"}

    async def __call__(self, row: Seed, ctx: Context) -> list[Solved | Drop] | Drop:
        """Ask for concepts, then for a task, then `n` times for an answer with tests."""
        llm = ctx.llm("generator")
        category = ctx.rng.choice(("function", "function", "class", "program"))
        difficulty = ctx.rng.choice(("easy", "medium", "hard"))
        draws = [ctx.rng.randrange(self.shot_sets) for _ in range(3)]
        told = {"code": row["code"].strip()}
        (reply,) = await write(llm, self.requests(CONCEPTS, told, draws[0]))
        if isinstance(reply, Drop):
            return reply
        concepts = [part.strip() for part in reply.text.split(",") if part.strip()]
        if not concepts:
            return Drop("no_concepts", reply.text)
        told["property"] = properties(category, difficulty, concepts)
        (reply,) = await write(llm, self.requests(INSTRUCTION, told, draws[1]))
        if isinstance(reply, Drop):
            return reply
        told["instruction"] = reply.text.strip()
        replies = await write(llm, self.requests(RESPONSE, told, draws[2]), self.n)

        def solved(reply: Completion | Drop) -> Solved | Drop:
            if isinstance(reply, Drop):
                return reply
            parts = divide(reply.text)
            if isinstance(parts, Flaw):
                return Drop(parts.code, parts.detail)
            return {
                "instruction": told["instruction"], "output": parts[0], "tests": parts[1],
                "concepts": concepts, "category": category, "difficulty": difficulty,
                "gen": reply.gen,
            }  # fmt: skip

        return [solved(reply) for reply in replies]

    def requests(self, form: Form, told: Mapping[str, str], draw: int) -> Iterator[Ask]:
        """Yield prompts of fewer and fewer examples; none of these has the code that is told."""
        order = random.Random(3407 + draw).sample(examples(), k=len(examples()))
        others = [example for example in order if example["code"].strip() != told.get("code")]
        for n in halves(self.response_shots if form is RESPONSE else self.shots):
            yield form.render([*others[:n], told]), replace(self.sampling, stop=form.stop)


async def write(llm: Llm, asks: Iterator[Ask], n: int = 1) -> list[Completion | Drop]:
    """Ask the first of the requests that fits `n` times."""
    for ask in asks:
        replies = await asyncio.gather(*(complete(llm, *ask) for _ in range(n)))
        if not any(isinstance(one, Drop) and one.code == "prompt_too_long" for one in replies):
            break
    return replies


@cache
def examples() -> tuple[dict[str, str], ...]:
    """Return the 21 worked examples, each with every part of every prompt."""
    found = [orjson.loads(line) for line in EXAMPLES.read_bytes().splitlines()]
    return tuple({**one, "concepts": one["property"].rpartition("concepts: ")[2]} for one in found)


def properties(category: str, difficulty: str, concepts: Sequence[str]) -> str:
    """Return the lines that say what the task shall be like."""
    kind = f"category: {category} implementation\nlanguage: Python\ndifficulty: {difficulty}"
    return f"{kind}\nconcepts: {', '.join(concepts)}"
