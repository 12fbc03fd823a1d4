"""ReSocratic, last step: a solved problem is told back as two questions, each solved once more.

Source: Yang et al., "OptiBench Meets ReSocratic: Measure and Improve LLMs for Optimization
Modeling", arXiv:2407.09887, section 4; `re_socratic_solve` comes before.
Differs from the paper: our own prompt; a question stays only if a program from the question alone
has the same objective, since telling back may lose a constraint.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.engines.sandbox.profiles import PythonProfile
from gristmill.generators.re_socratic_solve import solve
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.demonstrations import FORMAL, has_table, same_objective

QUESTION = """Tell an optimization problem as a question to somebody who has to model it. What it \
is stands in sections: a heading, a sentence, formal lines. Keep every number and unit and what \
must be whole; leave out names of variables, formulas and results. Reply with the question alone. \
{style}

### Problem
{problem}

### Question"""
STYLES = {
    "table": "Put the numbers into one Markdown table, and all else into sentences around it.",
    "plain": "Use plain sentences, without any table or list.",
}


class Told(TypedDict):
    """What it writes, besides the program that stays as it is."""

    instruction: str
    output: str
    question_style: str
    tests: str
    gen: Gen


class ReSocraticQuestions(RowStage):
    """Make a row of each style of question; one program serves both."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"not_a_question", "not_the_same"}

    of: str = Field(default="re_socratic_solve", pattern=r"^\w+$")
    """Label of the stage that solved the demonstration."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Wall-clock limit of one run, in seconds."""
    profile: PythonProfile = "solver"
    """What programs can import; see `verifiers.unit_tests`."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=2000)

    def reads(self) -> frozenset[str]:
        """The columns depend on `of`."""
        written = (f"meta.{self.of}.{name}" for name in ("demonstration", "objective", "tests"))
        return frozenset({"output", *written})

    def needs(self) -> dict[str, Op]:
        """One model asks and solves again."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> list[Told | Drop]:
        """Ask for both questions."""
        rows: list[Told | Drop] = []
        for style, how in STYLES.items():
            problem = row[f"meta.{self.of}.demonstration"]
            asked = QUESTION.format(style=how, problem=problem)
            ask: list[Message] = [{"role": "user", "content": asked}]
            reply = await complete(ctx.llm("generator"), ask, self.sampling)
            if isinstance(reply, Drop):
                rows.append(reply)
                continue
            text = reply.text.strip()
            flaw = await self.flaw(text, style, row[f"meta.{self.of}.objective"], ctx)
            told: Told = {
                "instruction": text,
                "output": row["output"],
                "question_style": style,
                "tests": row[f"meta.{self.of}.tests"],
                "gen": reply.gen,
            }
            rows.append(flaw or told)
        return rows

    async def flaw(self, text: str, style: str, objective: float, ctx: Context) -> Drop | None:
        """Say why a text does not ask for the problem; None if it does."""
        if has_table(text) != (style == "table") or FORMAL in text or "```" in text:
            return Drop("not_a_question", text)
        again = await solve(text, self, ctx)
        if isinstance(again, Drop):
            return Drop("not_the_same", f"{again.code}: {again.detail}: {text}")
        if not same_objective(objective, again[1]["objective"]):
            why = f"{objective} by the demonstration, {again[1]['objective']} by the question"
            return Drop("not_the_same", f"{why}: {text}")
        return None
