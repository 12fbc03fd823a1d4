"""Run the script of a response on inputs, and compare what it prints with the expected outputs.

Source: Li et al., "Competition-Level Code Generation with AlphaCode", arXiv:2203.07814, section 2
(a program is right when it is right on every test).
Differs from the paper: words of a line are not compared without their case, and numbers exactly
unless `tolerance` is set. Expected outputs never enter the sandbox.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

from pydantic import Field

from gristmill.engines.requests import Op
from gristmill.engines.sandbox.program import Program
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage
from gristmill.text.fences import LANGUAGES, code_in

UNJUDGED = frozenset({"missing_dependency", "weak_tests"})
"""Statuses that say nothing about the code."""


class Judged(TypedDict):
    """What it writes. `passed` is None when nothing could be judged."""

    passed: bool | None
    status: str
    detail: str
    statuses: list[str]
    checks_total: int | None
    checks_passed: int | None
    verified_by: str | None
    profile: str | None


class Stdio(RowStage):
    """Join the code blocks of `output`, run them once per input; all outputs must be right.

    The profile says the language. C++ is compiled once, in a run of its own under the same limits;
    an SQL program finds the tables that its input makes.
    """

    inputs: str = "inputs"
    """Column with one text per run, for standard input."""
    outputs: str = "outputs"
    """Column with what each run should print."""
    tolerance: float = Field(default=0.0, ge=0, le=1)
    """How far a decimal number may be off, absolute or relative; CodeContests' judge has 1e-5."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Wall-clock limit of one run in seconds; CodeContests' judge has 10."""
    memory_mb: int = Field(default=1024, ge=64, le=65536)
    """Memory limit of one run in MiB, all its processes together."""
    profile: str = "bare"
    """What programs can import (`bare`, `numpy`, `solver`, `sympy`, or one of
    `engines.sandbox.profiles`), or their language: `cpp`, `javascript`, `bash`, `sql`."""

    def reads(self) -> frozenset[str]:
        """The columns of inputs and outputs are parameters."""
        return frozenset({"output", self.inputs, self.outputs})

    def needs(self) -> dict[str, Op]:
        """Run programs."""
        return {"sandbox": "run"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> Judged:
        """Judge one response: the status is the first that is no pass."""
        language = self.profile if self.profile in LANGUAGES else "python"
        code = code_in(language, row["output"] or "")
        inputs, outputs = row[self.inputs], row[self.outputs]
        if code is None:
            return unjudged("no_code", f"no closed {language} block in the output")
        if wrong := self.unusable(inputs, outputs):
            return unjudged("no_tests", wrong)
        runs = [
            ctx.sandbox.run(
                Program(
                    code,
                    stdin=given,
                    stdout=wanted,
                    tolerance=self.tolerance,
                    timeout_s=self.timeout_s,
                    memory_mb=self.memory_mb,
                    profile=self.profile,
                )
            )
            for given, wanted in zip(inputs, outputs, strict=True)
        ]
        verdicts = await asyncio.gather(*runs)
        statuses = [verdict.status for verdict in verdicts]
        i = next((i for i, status in enumerate(statuses) if status != "pass"), 0)
        status = statuses[i]
        return {
            "passed": None if status in UNJUDGED else status == "pass",
            "status": status,
            "detail": "" if status == "pass" else f"input {i}: {verdicts[i].detail}",
            "statuses": list(statuses),
            "checks_total": len(verdicts),
            "checks_passed": statuses.count("pass"),
            "verified_by": "stdio",
            "profile": verdicts[i].profile,
        }

    def unusable(self, inputs: Any, outputs: Any) -> str:
        """Say why inputs and outputs can judge nothing; "" when they can."""
        for name, texts in ((self.inputs, inputs), (self.outputs, outputs)):
            if not isinstance(texts, list) or not texts:
                return f"{name} is no list of texts, or an empty one"
            if not all(isinstance(text, str) for text in texts):
                return f"{name} holds something else than texts"
        if len(inputs) != len(outputs):
            return f"{len(inputs)} {self.inputs}, but {len(outputs)} {self.outputs}"
        return ""


def unjudged(status: str, detail: str) -> Judged:
    """Return the verdict on a row that no run could judge."""
    return {
        "passed": None,
        "status": status,
        "detail": detail,
        "statuses": [],
        "checks_total": None,
        "checks_passed": None,
        "verified_by": None,
        "profile": None,
    }
