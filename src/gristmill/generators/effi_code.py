"""Effi-Code: a model sees what its program costs, line by line, and makes it cheaper.

Source: Huang et al., "Effi-Code: Unleashing Code Efficiency in Language Models", arXiv:2410.10209,
section 3, with the loop of EffiLearner, arXiv:2405.15189, section 3.
Differs from the papers: our own prompt; the time that decides is CPU time (wall time where that is
not known) taken from outside, the Hodges-Lehmann estimate of several runs of the tests, repeated
until they take long enough; a gain must be more than noise; where a row brings `inputs`, results on
them must not change either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Message, Op, Sampling
from gristmill.engines.sandbox.agreement import steady
from gristmill.engines.sandbox.costs import Cost, Limits, loops_for, measure
from gristmill.engines.sandbox.program import Program
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.fences import fenced, python_code

REWRITE = """Make a Python program cheaper in time and memory. What it costs on its tests is \
shown; find where that comes from, think of another algorithm or data structure first and of \
details last. It must still pass all tests and behave the same on every other input; names and \
signatures stay. Reply with the whole program in one Python block, without tests.

### Task
{task}

### A test
{test}

### Program
{code}

### Cost
{cost}

### Cheaper program"""


class Task(TypedDict):
    """What it reads: a program that passes its tests. `inputs` are calls such as `f(1, 2)`."""

    instruction: str
    output: str
    tests: str
    inputs: NotRequired[list[str] | None]


class Version(TypedDict):
    """One program. Costs are of all tests, repeated as often as for the others; None if wrong."""

    code: str
    correct: bool
    et_s: float | None
    peak_mb: float | None
    tmu_mb_s: float | None
    """Memory over time, in MB*s."""


class Improved(TypedDict):
    """What it writes: the cheapest right program; `speedup` and `tmu_ratio` are 1 for the first."""

    output: str
    history: list[Version]
    best: int
    loops: int
    speedup: float
    tmu_ratio: float


class EffiCode(RowStage):
    """Ask for a cheaper program again and again; take it where tests pass and the gain is real."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {
        "no_code", "not_passing", "flaky", "not_measured",
    }  # fmt: skip

    rounds: int = Field(default=5, ge=1)
    """Rewrites that are asked for, each of the best program so far."""
    runs: int = Field(default=5, ge=1)
    """Measurements of each program."""
    min_ms: int = Field(default=50, ge=1)
    """Time that the first program's tests take at least; they are repeated until they do."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Wall-clock limit of one run, in seconds."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=512)

    def needs(self) -> dict[str, Op]:
        """One model rewrites, the sandbox measures."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: Task, ctx: Context) -> Improved | Drop:
        """Measure, show, rewrite; what is wrong or dearer is written down and forgotten."""
        code, tests, inputs = python_code(row["output"]), row["tests"], row.get("inputs") or []
        if code is None:
            return Drop("no_code", row["output"])
        if (known := await self.right(code, tests, inputs, ctx)) is None:
            return Drop("not_passing", "the first program does not pass its tests")
        loops = await loops_for(ctx.sandbox.run, code, tests, self.min_ms, self.timeout_s)
        limits = Limits(tests, loops, self.runs, self.timeout_s)
        first = await measure(ctx.sandbox.run, code, limits)
        if first is None:
            again = [await self.right(code, tests, inputs, ctx, attempt=i) for i in (1, 2, 3)]
            why = "flaky" if any(one != known for one in again) else "not_measured"
            return Drop(why, "its tests do not always pass, or it cannot be profiled")
        history, best, least = [version(code, first)], 0, first
        for _ in range(self.rounds):
            shown = {"task": row["instruction"], "test": tests.strip().split("\n")[0]}
            text = REWRITE.format(**shown, code=history[best]["code"], cost=least)
            ask: list[Message] = [{"role": "user", "content": text}]
            reply = await complete(ctx.llm("generator"), ask, self.sampling)
            new = None if isinstance(reply, Drop) else python_code(reply.text)
            if new is None:
                continue
            made = None
            if await self.right(new, tests, inputs, ctx) == known:
                made = await measure(ctx.sandbox.run, new, limits)
            history.append(version(new, made))
            if made and made.is_below(least):
                best, least = len(history) - 1, made
        return {"output": fenced(history[best]["code"]), "history": history, "best": best,
                "loops": loops, "speedup": first.et_s / least.et_s,
                "tmu_ratio": least.tmu_mb_s / first.tmu_mb_s}  # fmt: skip

    async def right(
        self, code: str, tests: str, inputs: Sequence[str], ctx: Context, attempt: int = 0
    ) -> list[str | None] | None:
        """Return what a program that passes gives for the inputs; None if it does not pass."""
        how: dict[str, Any] = {"timeout_s": self.timeout_s, "attempt": attempt}
        verdict = await ctx.sandbox.run(Program(code, tests, **how))
        if verdict.status != "pass" or not inputs:
            return [] if verdict.status == "pass" else None
        program = Program(code, calls=tuple(inputs), **how)
        return steady([await ctx.sandbox.run(program)], len(inputs))


def version(code: str, cost: Cost | None) -> Version:
    """Return a line of the history."""
    spent = (cost.et_s, cost.peak_mb, cost.tmu_mb_s) if cost else (None, None, None)
    return {"code": code, "correct": cost is not None, "et_s": spent[0], "peak_mb": spent[1],
            "tmu_mb_s": spent[2]}  # fmt: skip
