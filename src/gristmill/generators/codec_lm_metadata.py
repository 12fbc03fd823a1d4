"""CodecLM, encode: an instruction becomes metadata, its use case and the skills that it takes.

Source: Wang et al., "CodecLM: Aligning Language Models with Tailored Synthetic Data",
arXiv:2404.05875, section 3.1. `generators.codec_lm` decodes them.
Differs from the paper: our own worked examples; metadata grow between rounds, by pairs of a use
case and skills that the pool has, and nobody removes odd ones.
"""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar, NotRequired, TypedDict

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage

ENCODE = """Say what an instruction is for. Name its use case in a few words, and at most 3 \
general abilities, of 2 or 3 words each, that a reply takes and that serve elsewhere too. Do not \
use the words skill or knowledge, and do not explain.

### Instruction
Write a reply to a guest who complains that the pool was closed, and offer something in return.
Use case: customer replies
Abilities: polite tone, problem solving

### Instruction
My loop prints every line twice. What is wrong? for l in f: print(l)
Use case: code debugging
Abilities: reading Python, finding causes, file handling

### Instruction
Which of two phone contracts is cheaper for somebody who makes 40 short calls a month?
Task: cost comparison
Abilities: careful arithmetic, clear explanation

### Instruction
{instruction}
"""
CASE = re.compile(r"(?im)^[ \t*#]*(?:use case|task)[\s*]*:[\s*]*(.+)$")
SKILLS = re.compile(r"(?im)^[ \t*#]*abilities[\s*]*:[\s*]*(.+)$")
MOST = 3
"""Skills of an entry."""


class Seed(TypedDict):
    """What it reads: an instruction, or metadata written by hand."""

    instruction: NotRequired[str | None]
    use_case: NotRequired[str | None]
    skills: NotRequired[list[str] | None]


class Entry(TypedDict):
    """What it writes; `gen` is None where nothing was asked."""

    gen: Gen | None
    use_case: str
    skills: list[str]


class CodecLmMetadata(RowStage):
    """Name a row's use case and skills; in later rounds draw both from the entries of the pool."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"no_metadata"}

    pairs: bool = True
    """Pair anew in later rounds; else encode again."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """The strong model."""
        return {"strong": "generate"}

    async def __call__(self, row: Seed, ctx: Context) -> Entry | Drop:
        """Ask once, unless metadata are there."""
        if self.pairs and ctx.round and ctx.pool is not None and len(ctx.pool):
            return _paired(ctx)
        if row.get("use_case") and row.get("skills"):
            by_hand = list(row["skills"] or ())[:MOST]
            return Entry(gen=None, use_case=row["use_case"] or "", skills=by_hand)
        if not row.get("instruction"):
            return Drop("no_metadata", "neither an instruction nor use_case and skills")
        ask: list[Message] = [
            {"role": "user", "content": ENCODE.format(instruction=row["instruction"])}
        ]
        reply = await complete(ctx.llm("strong"), ask, self.sampling)
        if isinstance(reply, Drop):
            return reply
        case, said = CASE.search(reply.text), SKILLS.search(reply.text)
        named = [name.strip(" .*") for name in said[1].split(",")] if said else []
        skills = [name for name in named if name][:MOST]
        if not case or not case[1].strip(" .*") or not skills:
            return Drop("no_metadata", reply.text)
        return Entry(gen=reply.gen, use_case=case[1].strip(" .*"), skills=skills)


def _paired(ctx: Context) -> Entry:
    """Return the use case of one row of the pool with skills of others, none of them twice."""
    assert ctx.pool is not None
    texts, n = ctx.pool["meta"], ctx.rng.randint(1, MOST)
    drawn: list[dict[str, Any]] = [
        json.loads(texts[ctx.rng.randrange(len(texts))].as_py())["codec_lm_metadata"]
        for _ in range(1 + n)
    ]
    skills = dict.fromkeys(ctx.rng.choice(entry["skills"]) for entry in drawn[1:])
    return Entry(gen=None, use_case=drawn[0]["use_case"], skills=list(skills))
