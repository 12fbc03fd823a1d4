"""InfinityMATH, first half: a word problem becomes a program that does not know its numbers.

Source: Zhang et al., "InfinityMATH: A Scalable Instruction Tuning Dataset in Programmatic
Mathematical Reasoning", arXiv:2408.07089, section 3. Its second half is `infinity_variants`.
Differs from the paper: our own prompts, its pipeline was not released; a masked problem must give
the original byte for byte, and the call is made from the slots instead of asked for; a program
that ignores a slot or knows the answer by heart is refused.
"""

from __future__ import annotations

from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.engines.sandbox.inspecting import found, inspection
from gristmill.engines.sandbox.numbers import asking, given
from gristmill.engines.sandbox.values import show
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import constant_returns
from gristmill.text.fences import python_code
from gristmill.text.math_answers import compare
from gristmill.text.number_slots import Problem, Worked, align, answer_of

MASK = """Some numbers of a word problem could have been others: counts, prices, times, rates. \
Copy the problem letter by letter, but put a slot in the place of each such number that is written \
in digits: double square brackets around a short name in lower case that says what it counts. \
Different quantities have different names. Numbers in names, dates and ordinals stay, and so do \
signs such as $ and %. Reply with the problem alone.

### Problem
On Route 66 a crate of 12 bottles costs $30. How much is one bottle?

### With slots
On Route 66 a crate of [[bottles]] bottles costs $[[price]]. How much is one bottle?

### Problem
{question}

### With slots"""
PROGRAM = """Write a Python function `solve` that solves a word problem whatever numbers stand in \
its slots. Its parameters are the slots, with their names. A docstring says what it returns, a \
comment introduces each step. It returns one number and prints nothing; 25% comes as 25. Reply \
with one Python block.

### Problem
{template}

### Slots
{names}

### Function"""
FIX = """{wrong}. Make the smallest change that repairs the reasoning. It must hold for other \
numbers as well, so never return the answer itself. Reply with the whole function in one Python \
block."""


class Solved(TypedDict):
    """What it reads: a problem, and a solution that ends in its answer."""

    instruction: str
    output: str


class Program(Worked):
    """What it writes: the problem as it was; `template` has slots in the place of numbers."""

    template: str
    code: str
    fixes: int
    gen: Gen


class InfinityMath(RowStage):
    """Mask the numbers of a problem, and write the program that solves it for all of them."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | frozenset(
        {"no_answer", "no_template", "no_code", "wrong_program", "by_heart", "unused_slot"}
    )

    fixes: int = Field(default=3, ge=0)
    """Repairs of a program at most; the paper does not say how many."""
    draws: int = Field(default=5, ge=1, le=20)
    """Other values of each slot; one must change the result. Our choice."""
    timeout_s: float = Field(default=5.0, gt=0, le=600)
    """Wall-clock limit of one run, in seconds."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=1024)

    def needs(self) -> dict[str, Op]:
        """One model masks and programs, the sandbox runs."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: Solved, ctx: Context) -> Program | Drop:
        """Mask, then program."""
        question = row["instruction"].strip()
        if (answer := answer_of(row["output"])) is None:
            return Drop("no_answer", row["output"])
        ask: list[Message] = [{"role": "user", "content": MASK.format(question=question)}]
        reply = await complete(ctx.llm("generator"), ask, self.sampling)
        if isinstance(reply, Drop):
            return reply
        problem = align(reply.text.strip(), question)
        if isinstance(problem, str):
            return Drop("no_template", f"{problem}: {reply.text}")
        return await self.program(problem, answer, ctx)

    async def program(self, problem: Problem, answer: str, ctx: Context) -> Program | Drop:
        """Ask for the program, and have it repaired until it gives the known answer."""
        names = "\n".join(f"{slot.name}: {slot.kind}" for slot in problem.slots)
        told = PROGRAM.format(template=problem.template, names=names)
        ask: list[Message] = [{"role": "user", "content": told}]
        wrong = ""
        for fixes in range(self.fixes + 1):
            reply = await complete(ctx.llm("generator"), ask, self.sampling)
            if isinstance(reply, Drop):
                return reply
            if (code := python_code(reply.text)) is None:
                return Drop("no_code", reply.text)
            verdict = await ctx.sandbox.run(
                asking(code, [problem.call(problem.own)], self.timeout_s)
            )
            if compare(answer, given(verdict, 1)[0] or "").same:
                flaw = await self.flaw(problem, code, answer, ctx)
                return flaw or {
                    **problem.worked(code, problem.own, answer),
                    "template": problem.template,
                    "code": code,
                    "fixes": fixes,
                    "gen": reply.gen,
                }
            gives = show(verdict.values[0]) if verdict.values else verdict.status
            wrong = f"{problem.call(problem.own)} gives {gives}, but {answer} is right"
            ask = [*ask, {"role": "assistant", "content": reply.text}]
            ask.append({"role": "user", "content": FIX.format(wrong=wrong)})
        return Drop("wrong_program", wrong)

    async def flaw(self, problem: Problem, code: str, answer: str, ctx: Context) -> Drop | None:
        """Say in which way a right program would be wrong for other numbers."""
        heart = inspection(constant_returns, "knows", code, float(answer))
        if found(await ctx.sandbox.run(heart)) is not False:
            return Drop("by_heart", code)
        for i, slot in enumerate(problem.slots):
            drawn = problem.vary(1 << i, self.draws, ctx.rng.randint)
            ask = asking(code, [problem.call(values) for values in drawn], self.timeout_s)
            if set(given(await ctx.sandbox.run(ask), len(drawn))) <= {answer, None}:
                return Drop("unused_slot", f"{slot.name} changes nothing")
        return None
