"""Compare the final answer of a response with the reference: as numbers, by algebra, as text.

Source: Kydlíček and Gandenberger, "Math-Verify", github.com/huggingface/Math-Verify (algebra);
Gao et al., "PAL", arXiv:2211.10435 (numbers).
Differs from them: numbers are compared exactly or within 1e-6, x and 100 x are never the same, a
box that is empty is no answer, and what nobody can tell is neither right nor wrong. Algebra runs
in the sandbox, since its parser works on what a model wrote.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Op
from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage
from gristmill.text.math_answers import Found, clean, compare, extract, gold_of, is_harmless

ALGEBRA = """
import logging
logging.disable(logging.CRITICAL)
from sympy import Expr, Rational
from math_verify import LatexExtractionConfig, parse, verify

def read(text):
    kind = [LatexExtractionConfig()]
    found = parse("$" + text + "$", kind, fallback_mode="no_fallback", parsing_timeout=None)
    return found[0] if found else None

def same(gold, answer):
    left, right = read(gold), read(answer)
    if left is None or right is None:
        return None
    verified = bool(verify([left], [right], timeout_seconds=None))
    probed = probe(left, right)
    if verified != probed and probed is not None:
        return True if probed else None
    return verified

def probe(left, right):
    # A second opinion: 50 digits at five points.
    if not (isinstance(left, Expr) and isinstance(right, Expr)):
        return None
    names = sorted(left.free_symbols | right.free_symbols, key=str)
    told = []
    for i in range(1, 6):
        point = {name: Rational(7 * i + 3 * j + 2, 11) for j, name in enumerate(names)}
        value = (left - right).subs(point).evalf(50)
        told += [abs(value) < 1e-30] if value.is_number and value.is_finite else []
    return all(map(bool, told)) if told else None
"""


class Judged(TypedDict):
    """What it writes. `passed` is None when nothing could be told."""

    passed: bool | None
    status: str
    detail: str
    answer: str | None
    verified_by: str | None
    """The comparison that decided: text, exact, float, rounded, percent, choice, structure,
    algebra."""
    profile: str | None


class MathAnswer(RowStage):
    """Find the final answer in `output` and compare it with the reference, rung by rung."""

    version: ClassVar[int] = 5

    reference: str = "reference"
    """Column with the right answer: alone, or a worked solution that marks it."""
    allow_rounding: bool = False
    """Whether an answer that rounds to a reference with d decimals is right."""
    in_percent: bool = False
    """Whether the questions ask for a percentage, so that 50% is 0.5."""
    timeout_s: float = Field(default=5.0, gt=0, le=600)
    """Limit of the algebra in seconds; Math-Verify's own is 5."""
    memory_mb: int = Field(default=1024, ge=256, le=65536)
    """Memory limit of the algebra in MiB."""

    def reads(self) -> frozenset[str]:
        """The column of the reference is a parameter."""
        return frozenset({"output", self.reference})

    def needs(self) -> dict[str, Op]:
        """Run the algebra."""
        return {"sandbox": "run"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> Judged:
        """Judge one response."""
        gold = gold_of(str(row[self.reference] or ""))
        answer = extract(row["output"] or "", gold)
        if not clean(gold):
            return judged(None, "no_reference", f"{self.reference} is empty", answer)
        if answer is None:
            return judged(None, "no_answer", "no final answer in the output", answer)
        found = compare(
            gold, answer, allow_rounding=self.allow_rounding, in_percent=self.in_percent
        )
        why, profile = "", None
        if found.same is None and found.rung != "unit":
            found, why, profile = await self.by_algebra(clean(gold), clean(answer), ctx)
        status = {True: "pass", False: "fail", None: why or "unknown"}[found.same]
        detail = f"{answer:.200} against {gold:.200}"
        by = None if found.same is None else found.rung
        return judged(found.same, status, detail, answer, by, profile)

    async def by_algebra(
        self, gold: str, answer: str, ctx: Context
    ) -> tuple[Found, str, str | None]:
        """Ask Math-Verify; return what it says, the reason when it says nothing, the profile."""
        if not (is_harmless(gold) and is_harmless(answer)):
            return Found(None, "algebra"), "unknown", None
        program = Program(
            ALGEBRA,
            calls=(f"same({gold!r}, {answer!r})",),
            timeout_s=self.timeout_s,
            memory_mb=self.memory_mb,
            profile="sympy",
        )
        verdict: Verdict = await ctx.sandbox.run(program)
        told = {'["b", 1]': True, '["b", 0]': False}
        value = verdict.values[0] if verdict.status == "pass" and verdict.values else None
        same = told.get(str(value).replace("'", '"'))
        missing = verdict.status == "missing_dependency"
        return Found(same, "algebra"), verdict.status if missing else "unknown", verdict.profile


def judged(
    passed: bool | None,
    status: str,
    detail: str,
    answer: str | None,
    verified_by: str | None = None,
    profile: str | None = None,
) -> Judged:
    """Return the columns."""
    return {
        "passed": passed,
        "status": status,
        "detail": detail,
        "answer": answer,
        "verified_by": verified_by,
        "profile": profile,
    }
