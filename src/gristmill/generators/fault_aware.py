"""Fault-aware fine-tuning: a right program, a wrong one that is almost the same, and where.

Source: Fan et al., "Fait: Fault-Aware Fine-Tuning for Better Code Generation", arXiv:2503.16913,
section 3; nothing was released.
Differs from the paper: our own prompt; a wrong version must run and fail its tests, which is not
known of the paper's, and what differs in comments alone is none; characters are marked,
`text.faults.token_mask` makes tokens of any
tokenizer of them, `weight` gives the weights of a trainer.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Message, Op, Sampling
from gristmill.engines.sandbox.program import Program
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.faults import faults, similarity
from gristmill.text.fences import python_code

VARIANT = """A task and a right Python program for it follow. Write the program again with one \
slip that an attentive developer could make: a wrong operator, bound, index, condition, order or \
default. It must still run to its end, and give wrong results for ordinary inputs. Change as few \
characters as possible; names, layout and comments stay, and nothing hints at the slip. Reply with \
the whole program in one Python block.

### Task
{task}

### Right program
{code}

### Wrong program"""


class Edit(TypedDict):
    """Characters `start` to `end` of the right program become `text`."""

    start: int
    end: int
    text: str


class Task(TypedDict):
    """What it reads: a program that passes its tests."""

    instruction: str
    output: str
    tests: str


class Faulty(TypedDict):
    """What it writes. Places are characters and lines of `code_correct`, counted from 0."""

    output: str
    code_correct: str
    code_incorrect: str
    line_mask: list[bool]
    """Of every line: something in it differs; beside an insertion, its neighbours."""
    char_spans: list[list[int]]
    """[start, end) of what a trainer should weigh more."""
    edits: list[Edit]
    """What makes the wrong program of the right one."""
    similarity: float
    verdict_incorrect: str
    """The check that the wrong program failed."""


class FaultAware(RowStage):
    """Find the most similar version of a program that fails, and mark where they differ."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"no_code", "not_passing", "no_variant"}

    k: int = Field(default=4, ge=1)
    """Wrong versions that are asked for. Our choice."""
    min_similarity: float = Field(default=0.6, ge=0, le=1)
    """Levenshtein similarity (0..1) of a version that is still the same program. Our choice."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Wall-clock limit of one run, in seconds."""
    sampling: Sampling = Sampling(temperature=0.8, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """One model slips, the sandbox tells."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: Task, ctx: Context) -> Faulty | Drop:
        """Run the program, ask `k` times, run what came, keep the nearest that fails a check."""
        code, tests = python_code(row["output"]), row["tests"]
        if code is None:
            return Drop("no_code", row["output"])
        verdict = await ctx.sandbox.run(Program(code, tests, timeout_s=self.timeout_s))
        if verdict.status != "pass":
            return Drop("not_passing", f"{verdict.status}: {verdict.detail}")
        text = VARIANT.format(task=row["instruction"], code=code)
        ask: list[Message] = [{"role": "user", "content": text}]
        asked = [complete(ctx.llm("generator"), ask, self.sampling) for _ in range(self.k)]
        replies = await asyncio.gather(*asked)
        codes = [None if isinstance(r, Drop) else python_code(r.text) for r in replies]
        near = {c: similarity(code, c) for c in codes if c and faults(code, c).spans}
        near = {c: like for c, like in near.items() if like >= self.min_similarity}
        programs = [Program(c, tests, timeout_s=self.timeout_s) for c in near]
        verdicts = await asyncio.gather(*map(ctx.sandbox.run, programs))
        wrong = {c: v for c, v in zip(near, verdicts, strict=True) if v.status == "fail"}
        if not wrong:
            ends = ", ".join(v.status for v in verdicts) or "none near enough"
            return Drop("no_variant", f"{len(near)} of {self.k} replies: {ends}")
        best = max(wrong, key=lambda c: near[c])
        found = faults(code, best)
        return {
            "output": row["output"],
            "code_correct": code,
            "code_incorrect": best,
            "line_mask": [i in found.lines for i in range(len(code.splitlines()))],
            "char_spans": [list(span) for span in found.spans],
            "edits": [{"start": i, "end": j, "text": text} for i, j, text in found.edits],
            "similarity": near[best],
            "verdict_incorrect": wrong[best].detail,
        }
