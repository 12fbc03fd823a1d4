"""Enriched instruction tuning: a plan for a human solution, then the solution with every step.

Source: "Enriched Instruction Tuning", arXiv:2412.16964 (TMLR 2025): enriching with reasoning plan
(ERP), then with reasoning steps (ERS); no code was released.
Differs from the paper: our own prompts, which begin alike so that both calls share their prefix;
every equation between plain numbers is recomputed, and what does not hold stands in the row.
"""

from __future__ import annotations

import re
from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.equations import numbers, slips
from gristmill.text.math_answers import clean, compare, extract, gold_of, number
from gristmill.text.numbered import numbered

GIVEN = """A mathematical problem follows, with a solution that a person wrote. The solution is \
right, but short: it goes from step to step without saying why, and leaves steps out. It is to be \
made into one that a learner can follow, first by a plan, then in full.

### Problem
{question}

### Solution of a person
{solution}
"""
PLAN = """
### Task
Name the goals that the solution reaches one after the other, two to six of them, as a numbered \
list. Each says what is found and how, in one sentence, without any result. Reply with the list \
alone.

### Plan"""
ENRICH = """
### Task
Write the solution in full along the plan below. Keep every step and number of the person's \
solution, say what each step is for, and add those that were left out, with their calculations. \
End with a line `#### ` and the answer.

### Plan
{plan}

### Full solution"""
NOTE = re.compile(r"<<[^<>]*>>")
"""Calculations that GSM8K notes beside the text."""


class Solved(TypedDict):
    """What it reads: a problem, and a solution that ends in its answer."""

    instruction: str
    output: str


class Enriched(TypedDict):
    """What it writes."""

    output: str
    plan: list[str]
    answer: str
    slips: list[str]
    """Equations of the output that do not hold, although its answer is right."""
    n_slips: int
    tries: int
    """Solutions that were asked for."""
    gen: Gen


class EnrichedMath(RowStage):
    """Plan, enrich, and ask again while the answer is not the known one or something is lost."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | frozenset(
        {"no_answer", "no_plan", "plan_tells", "wrong_answer", "shorter", "lost_numbers"}
    )

    version: ClassVar[int] = 3
    retries: int = Field(default=2, ge=0)
    """Further solutions where one is no good. Our choice."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=1024)

    def needs(self) -> dict[str, Op]:
        """One model plans and writes."""
        return {"generator": "generate"}

    async def __call__(self, row: Solved, ctx: Context) -> Enriched | Drop:
        """Ask for the plan once, for the solution up to `retries` + 1 times."""
        answer = gold_of(row["output"])
        if not answer.strip() or answer == row["output"]:
            return Drop("no_answer", row["output"])
        human = NOTE.sub("", row["output"]).strip()
        given = GIVEN.format(question=row["instruction"], solution=human)
        ask: list[Message] = [{"role": "user", "content": given + PLAN}]
        reply = await complete(ctx.llm("generator"), ask, self.sampling)
        if isinstance(reply, Drop):
            return reply
        plan = numbered(reply.text)
        if len(plan) < 2:
            return Drop("no_plan", reply.text)
        if told := [item for item in plan if tells(item, answer, row["instruction"])]:
            return Drop("plan_tells", told[0])
        items = "\n".join(f"{i}. {item}" for i, item in enumerate(plan, 1))
        ask = [{"role": "user", "content": given + ENRICH.format(plan=items)}]
        flaw = Drop("wrong_answer")
        for tries in range(1, self.retries + 2):
            reply = await complete(ctx.llm("generator"), ask, self.sampling)
            if isinstance(reply, Drop):
                flaw = reply
                continue
            found = lacks(reply.text, human, answer)
            if found is None:
                text = reply.text.strip()
                wrong = slips(text)
                return {"output": text, "plan": plan, "answer": answer, "slips": wrong,
                        "n_slips": len(wrong), "tries": tries, "gen": reply.gen}  # fmt: skip
            flaw = found
        return flaw


def tells(item: str, answer: str, question: str) -> bool:
    """Say whether a goal of the plan gives the answer away; a number of the problem is none."""
    known = number(clean(answer))
    return known is not None and known[0] in numbers(item) - numbers(question)


def lacks(text: str, human: str, answer: str) -> Drop | None:
    """Say why a full solution is no good."""
    found = extract(text, answer) or ""
    if not compare(answer, found).same:
        return Drop("wrong_answer", f"{found} against {answer}")
    if len(text.strip()) < len(human):
        return Drop("shorter", f"{len(text.strip())} < {len(human)} characters")
    lost = numbers(human) - numbers(text)
    return Drop("lost_numbers", ", ".join(map(str, sorted(lost)))) if lost else None
