"""InfinityMATH, second half: other numbers for a problem whose program is known.

Source: Zhang et al., "InfinityMATH: A Scalable Instruction Tuning Dataset in Programmatic
Mathematical Reasoning", arXiv:2408.07089, section 3: k numbers are 2^k - 1 sets to vary.
Differs from the paper: its values are drawn in an unknown way. Here every new number is from half
to twice the old one, of its kind and sign, and none passes a larger one of its kind; the answer is
whole where the old one was, has its sign and at most two decimals.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from gristmill.engines.requests import Op
from gristmill.engines.sandbox.numbers import asking, given
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.number_slots import Problem, Values, Worked, align, is_like


class Instance(Worked):
    """What it writes. Bit i of `variant_mask` says that slot i has another number; 0: none has."""

    values: list[str]
    variant_mask: int


class InfinityVariants(RowStage):
    """Make the problem itself, and one more for every set of numbers; no model is asked."""

    columns: ClassVar[tuple[str, ...]] = ("template", "code", "answer")
    codes: ClassVar[frozenset[str]] = frozenset(
        {"no_template", "too_many_slots", "no_other_values"}
    )

    of: str = Field(default="infinity_math", pattern=r"^\w+$")
    """Label of the stage that wrote the program."""
    max_slots: int = Field(default=6, ge=1, le=8)
    """k slots give 2^k - 1 more problems; a problem with more of them leaves. Our choice."""
    draws: int = Field(default=5, ge=1, le=50)
    """Tries to find numbers for a set. Our choice."""

    timeout_s: float = Field(default=5.0, gt=0, le=600)
    """Wall-clock limit of the run over all calls, in seconds."""

    def reads(self) -> frozenset[str]:
        """The columns depend on `of`."""
        return frozenset({"instruction", *(f"meta.{self.of}.{name}" for name in self.columns)})

    def needs(self) -> dict[str, Op]:
        """Run the program."""
        return {"sandbox": "run"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> list[Instance | Drop] | Drop:
        """Draw numbers for every set, ask the program once for all answers, keep the first good."""
        template, code, answer = (row[f"meta.{self.of}.{name}"] for name in self.columns)
        problem = align(template, row["instruction"])
        if isinstance(problem, str):
            return Drop("no_template", problem)
        if len(problem.slots) > self.max_slots:
            return Drop("too_many_slots", f"{len(problem.slots)} > {self.max_slots}")
        sets = range(1, 1 << len(problem.slots))
        tries = [problem.vary(mask, self.draws, ctx.rng.randint) for mask in sets]
        wanted = list(dict.fromkeys(values for drawn in tries for values in drawn))
        calls = [problem.call(values) for values in wanted]
        verdict = await ctx.sandbox.run(asking(code, calls, self.timeout_s))
        answers = dict(zip(wanted, given(verdict, len(wanted)), strict=True))
        rows: list[Instance | Drop] = [instance(problem, code, 0, problem.own, answer)]
        for mask, drawn in zip(sets, tries, strict=True):
            pairs = ((values, answers[values] or "") for values in drawn)
            good = (p for p in pairs if problem.keeps_order(p[0]) and is_like(answer, p[1]))
            pair = next(good, None)
            none = Drop("no_other_values", f"none of {len(drawn)} draws for slots {mask:b}")
            rows.append(instance(problem, code, mask, *pair) if pair else none)
        return rows


def instance(problem: Problem, code: str, mask: int, values: Values, answer: str) -> Instance:
    """Return the row of one line of numbers."""
    worked = problem.worked(code, values, answer)
    return {**worked, "values": list(problem.texts(values).values()), "variant_mask": mask}
