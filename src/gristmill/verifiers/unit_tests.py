"""Run the code of a response against its tests, in the sandbox.

Source: Wei et al., "SelfCodeAlign", arXiv:2410.24198, section 2.3 (execution filtering).
Differs from the paper: there, exit code 0 is a pass, so that leaving early passes. Here every
assert must have held, tests that also accept functions which return None do not count, and
values are compared outside the program's process where the tests allow it. On request a response
is run again to see if it gets the same verdict, and mutants of it show how much its tests notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Op
from gristmill.engines.sandbox.profiles import PythonProfile
from gristmill.engines.sandbox.program import UNJUDGED, Program, Verdict
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage
from gristmill.text.fences import fences, python_code

MUTANTS = 10
"""Mutants per response at most; the places are drawn with a fixed seed."""
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
    flaky: bool | None
    """Whether runs of the same program got different statuses; None when it ran once."""
    mutation_score: float | None
    """Share (0..1) of the mutants that the tests kill; None when not asked for, or no pass."""


class UnitTests(RowStage):
    """Join the Python blocks of `output`, run them with the row's tests, keep the verdict.

    An output without any block is taken for code as a whole, and is not judged if the sandbox
    finds that it is none. Nothing is parsed outside.
    """

    version: ClassVar[int] = 3

    tests: str = "meta.self_code_align.tests"
    """Column with the tests: plain Python, or a list of pieces of it, one below the other."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Wall-clock limit of one run; the paper's container has 10 s."""
    memory_mb: int = Field(default=1024, ge=64, le=65536)
    """Memory limit of one run, all its processes together."""
    profile: PythonProfile = "bare"
    """What programs can import: `bare`, `numpy`, `solver`, `sympy`, or one of
    `engines.sandbox.profiles`."""
    attempts: int = Field(default=1, ge=1, le=10)
    """Runs of each response. Different statuses make it flaky: `passed` is then None, `status` the
    first that is no pass, and `filters.verdict` drops the row as `flaky`."""
    mutate: bool = False
    """Whether to try mutants of responses that pass: up to 10 more runs each."""

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
        first = Program(
            code,
            tests,
            timeout_s=self.timeout_s,
            memory_mb=self.memory_mb,
            profile=self.profile,
            mutants=MUTANTS if self.mutate else 0,
        )
        again = [replace(first, attempt=i, mutants=0) for i in range(1, self.attempts)]
        runs = [ctx.sandbox.run(program) for program in (first, *again)]
        verdicts = await asyncio.gather(*runs)
        if is_bare and verdicts[0].detail.startswith(NOT_PYTHON):
            why = verdicts[0].detail.removeprefix(NOT_PYTHON)
            return unjudged("no_code", f"no block in the output, and it is no Python itself: {why}")
        return judged(verdicts)


def judged(verdicts: Sequence[Verdict]) -> Judged:
    """Return the columns for the verdicts of all attempts."""
    statuses = [verdict.status for verdict in verdicts]
    flaky = len(set(statuses)) > 1
    worst = next((v for v in verdicts if v.status != "pass"), verdicts[0])
    unclear = flaky or worst.status in UNJUDGED
    tried, killed = verdicts[0].mutants_total, verdicts[0].mutants_killed
    return {
        "passed": None if unclear else worst.status == "pass",
        "status": worst.status,
        "detail": f"{', '.join(statuses)}: {worst.detail}" if flaky else worst.detail,
        "checks_total": worst.checks_total,
        "checks_passed": worst.checks_passed,
        "verified_by": worst.verified_by,
        "profile": worst.profile,
        "flaky": flaky if len(verdicts) > 1 else None,
        "mutation_score": (killed or 0) / tried if tried else None,
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
        "flaky": None,
        "mutation_score": None,
    }
