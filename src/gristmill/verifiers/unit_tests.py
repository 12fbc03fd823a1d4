"""Run the code of a response against its tests, in the sandbox.

Source: Wei et al., "SelfCodeAlign", arXiv:2410.24198, section 2.3 (execution filtering).
Differs from the paper: there, exit code 0 is a pass, so that leaving early passes. Here every
assert must have held, tests that also accept functions which return None do not count, and
values are compared outside the program's process where the tests allow it.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Op
from gristmill.engines.sandbox.program import Program
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage
from gristmill.text.fences import fences, python_code

UNJUDGED = frozenset({"missing_dependency"})
"""Statuses that say nothing about the code."""
NOT_PYTHON = "not Python: code: "
"""What the sandbox says of a text that it cannot parse as code."""


class Judged(TypedDict):
    """What it writes. `passed` is None when nothing could be judged."""

    passed: bool | None
    status: str
    detail: str
    checks_total: int | None
    checks_passed: int | None
    verified_by: str | None
    profile: str | None


class UnitTests(RowStage):
    """Join the Python blocks of `output`, run them with the row's tests, keep the verdict.

    An output without any block is taken for code as a whole, and is not judged if the sandbox
    finds that it is none. Nothing is parsed outside.
    """

    version: ClassVar[int] = 2

    tests: str = "meta.self_code_align.tests"
    """Column with the tests: plain Python, or a list of pieces of it, one below the other."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Wall-clock limit of one run; the paper's container has 10 s."""
    memory_mb: int = Field(default=1024, ge=64, le=65536)
    """Memory limit of one run, all its processes together."""

    def reads(self) -> frozenset[str]:
        """The column of the tests is a parameter."""
        return frozenset({"output", self.tests})

    def needs(self) -> dict[str, Op]:
        """Run programs."""
        return {"sandbox": "run"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> Judged:
        """Judge one response."""
        output, tests = row["output"] or "", row[self.tests] or ""
        is_bare = fences(output) == []
        code = output if is_bare else python_code(output)
        tests = tests if isinstance(tests, str) else "\n".join(filter(None, tests))
        if not output.strip():
            return unjudged("no_code", "the output is empty")
        if code is None:
            return unjudged("no_code", "no closed Python block in the output")
        if not tests.strip():
            return unjudged("no_tests", f"{self.tests} is empty")
        program = Program(code, tests, timeout_s=self.timeout_s, memory_mb=self.memory_mb)
        verdict = await ctx.sandbox.run(program)
        if is_bare and verdict.detail.startswith(NOT_PYTHON):
            why = verdict.detail.removeprefix(NOT_PYTHON)
            return unjudged("no_code", f"no block in the output, and it is no Python itself: {why}")
        return {
            "passed": None if verdict.status in UNJUDGED else verdict.status == "pass",
            "status": verdict.status,
            "detail": verdict.detail,
            "checks_total": verdict.checks_total,
            "checks_passed": verdict.checks_passed,
            "verified_by": verdict.verified_by,
            "profile": verdict.profile,
        }


def unjudged(status: str, detail: str) -> Judged:
    """Return the verdict on a row that no run could judge."""
    return {
        "passed": None,
        "status": status,
        "detail": detail,
        "checks_total": None,
        "checks_passed": None,
        "verified_by": None,
        "profile": None,
    }
