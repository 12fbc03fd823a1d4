"""Judge an edit of code by tests: what it made passes them, what it started from does not.

Source: Li et al., "InstructCoder: Instruction Tuning Large Language Models for Code Editing",
arXiv:2310.20329, section 5 (execution of EditEval's tests).
Differs from the paper: there, only the edited code is run, so that an edit which nothing needed
passes as well.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

from pydantic import Field

from gristmill.engines.requests import Op
from gristmill.engines.sandbox.profiles import PythonProfile
from gristmill.engines.sandbox.program import Program
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage
from gristmill.text.fences import python_code

UNJUDGED = frozenset({"missing_dependency", "weak_tests"})
"""Statuses of the edited code that say nothing about it."""


class Judged(TypedDict):
    """What it writes. `passed` is None when nothing could be judged."""

    passed: bool | None
    status: str
    """Of the code after the edit; `not_needed`: the code before passes as well."""
    detail: str
    verified_by: str | None
    profile: str | None


class TrueEdit(RowStage):
    """Run the tests of a row on its `input` and on its `output`, in blocks or bare."""

    tests: str = "tests"
    """Column with the tests: plain Python."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Wall-clock limit of one run, in seconds."""
    profile: PythonProfile = "bare"
    """What programs can import; see `verifiers.unit_tests`."""

    def reads(self) -> frozenset[str]:
        """The column of the tests is a parameter."""
        return frozenset({"input", "output", self.tests})

    def needs(self) -> dict[str, Op]:
        """Run programs."""
        return {"sandbox": "run"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> Judged:
        """Run both sides at once."""
        sides = [row["input"] or "", row["output"] or ""]
        tests = row[self.tests] or ""
        if not all(text.strip() for text in (*sides, tests)):
            return {"passed": None, "status": "no_edit", "detail": "input, output or tests are "
                    "empty", "verified_by": None, "profile": None}  # fmt: skip
        codes = [text if (code := python_code(text)) is None else code for text in sides]
        limits = {"timeout_s": self.timeout_s, "profile": self.profile}
        programs = [Program(code, tests, **limits) for code in codes]  # type: ignore[arg-type]
        before, after = await asyncio.gather(*map(ctx.sandbox.run, programs))
        status: str = after.status
        detail = after.detail
        passed = None if status in UNJUDGED else status == "pass"
        if passed and before.status == "pass":
            passed, status, detail = False, "not_needed", "the code before the edit passes as well"
        return {"passed": passed, "status": status, "detail": detail,
                "verified_by": after.verified_by, "profile": after.profile}  # fmt: skip
