"""Fault segments: where correct code differs from a nearly equal version that fails its tests.

Source: "Fault-Aware Fine-Tuning" (FAIT), arXiv:2503.16913: a teacher writes a version that is wrong
and as like as can be; a training gives more weight to the lines and tokens that differ.
Differs from the paper: our own prompt; the correct code must pass and the version fail a test, not
run out of time; of several the most alike counts. Rows get spans of characters of `code`, not
tokens: `token_mask` of `text/faults.py` turns them into a model's, and the schedule of weights,
which is not published, is the trainer's: 1 + 1 - sigmoid(log p correct - log p incorrect), say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.passes import flagged
from gristmill.engines.requests import Message, Op, Sampling
from gristmill.engines.sandbox.profiles import PythonProfile
from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.faults import faults, likeness
from gristmill.text.fences import fenced, fences, python_code

PROMPT = """Below are a task and a program that solves it. Write the program once more with one
mistake that a good programmer could make and overlook: it must still run, give a wrong result for
some input, and look as much like the original as possible. Keep names, layout and comments. Do not
say in it where the mistake is. Reply with the whole program in one ```python block.

### Task
{task}

### Program
{block}

### Program with a mistake"""


class Edit(TypedDict):
    """What stands in the incorrect code in the place of start <= character < end of `code`."""

    start: int
    end: int
    text: str


class Faulty(TypedDict, total=False):
    """What it writes; None of all but `n_failing` where no version would do."""

    code: str | None
    """The correct code that every place is in: the Python blocks of `output`, or all of it."""
    incorrect: str | None
    """The version that fails."""
    score: float | None
    """0..1: how alike the two are, 1 minus their normalised edit distance."""
    lines: list[int] | None
    """Lines of `code` that differ, 0 is the first."""
    spans: list[list[int]] | None
    """[start, end] of the characters that differ; beside an insertion, its neighbours'."""
    edits: list[Edit] | None
    """In order; applied from the last to the first they make `incorrect` of `code`."""
    n_failing: int
    """Versions that fail a test; those of the others that pass are no mistakes."""
    flags: list[str]
    """`no_code`, `no_tests`, `not_correct`, `flaky` and `no_fault` are added."""


class FaultSegments(RowStage):
    """Run the code, ask for `n` versions, run them, keep the places of the one most alike."""

    version: ClassVar[int] = 2

    tests: str = Field(default="tests", pattern=r"^\w+(\.\w+)*$")
    """Column with the tests: plain Python, or a list of pieces of it, one below the other."""
    n: int = Field(default=4, ge=1)
    """Versions; our choice."""
    least: float = Field(default=0.6, ge=0, le=1)
    """Likeness below which a version is another program; our choice."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Of one run."""
    profile: PythonProfile = "bare"
    """What programs can import, as in `verifiers.unit_tests`."""
    sampling: Sampling = Sampling(temperature=0.8, max_tokens=1024)

    def reads(self) -> frozenset[str]:
        """The column of the tests is a parameter."""
        return frozenset({"instruction", "output", "flags", self.tests})

    def optional(self) -> frozenset[str]:
        """Flags may be missing."""
        return frozenset({"flags"})

    def judges(self) -> frozenset[str]:
        """Without code there is nothing to break."""
        return frozenset({"output"})

    def needs(self) -> dict[str, Op]:
        """A teacher writes, the sandbox runs."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> Faulty:
        """Find one version; a row without one says why."""
        output, tests = row["output"] or "", row[self.tests] or ""
        tests = "\n".join(filter(None, tests)) if isinstance(tests, list) else str(tests)
        code = (output if fences(output) == [] else python_code(output) or "").strip("\n")
        if not code.strip() or not tests.strip():
            return _none(row, 0, "no_tests" if code.strip() else "no_code")
        first = [(await self._run(ctx, code, tests, i)).status for i in range(2)]
        if first != ["pass", "pass"]:
            return _none(row, 0, "flaky" if "pass" in first else "not_correct")
        asked = PROMPT.format(task=row["instruction"] or "", block=fenced(code))
        prompt: list[Message] = [{"role": "user", "content": asked}]
        calls = [complete(ctx.llm("generator"), prompt, self.sampling) for _ in range(self.n)]
        replies = await asyncio.gather(*calls)
        texts = [None if isinstance(reply, Drop) else python_code(reply.text) for reply in replies]
        others = list(dict.fromkeys(text.strip("\n") for text in texts if text))
        runs = await asyncio.gather(*(self._run(ctx, other, tests) for other in others))
        wrong = [text for text, run in zip(others, runs, strict=True) if run.status == "fail"]
        found = [(likeness(code, text), text) for text in wrong]
        score, best = max(found, key=lambda pair: pair[0], default=(0.0, ""))
        marked = faults(code, best)
        if not found or score < self.least or not marked.spans:
            return _none(row, len(wrong), "no_fault")
        edits: list[Edit] = [{"start": i, "end": j, "text": text} for i, j, text in marked.edits]
        spans = [list(span) for span in marked.spans]
        return {"code": code, "incorrect": best, "score": score, "lines": marked.lines,
                "spans": spans, "edits": edits, "n_failing": len(wrong)}  # fmt: skip

    def _run(self, ctx: Context, code: str, tests: str, attempt: int = 0) -> Awaitable[Verdict]:
        how: dict[str, Any] = {"timeout_s": self.timeout_s, "profile": self.profile}
        return ctx.sandbox.run(Program(code, tests, attempt=attempt, **how))


def _none(row: dict[str, Any], n_failing: int, why: str) -> Faulty:
    return {"code": None, "incorrect": None, "score": None, "lines": None, "spans": None,
            "edits": None, "n_failing": n_failing, **flagged(row, {why})}  # fmt: skip
