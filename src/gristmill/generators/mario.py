"""MARIO: solve a problem by thoughts and code that runs, several times; right solutions stay.

Source: Liao et al., "MARIO: MAth Reasoning with code Interpreter Output, A Reproducible Pipeline",
arXiv:2401.08190, section 3; `MARIO-Math-Reasoning/MARIO` (MIT) for the form of a step.
Differs from the paper: our own prompt; nobody reviews solutions or corrects answers; every sample
whose answer is known to be right is a row, and what cannot be compared without algebra leaves; code
has 10 s and not 1,500 s. An observation that the model invents is cut off.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.engines.sandbox.profiles import PythonProfile
from gristmill.engines.sandbox.replaying import show_last
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.interpreter_steps import SEEN, Step, is_grounded, read, seen
from gristmill.text.math_answers import compare, gold_of

PROMPT = """Solve a mathematical problem step by step with a Python interpreter that remembers \
what was defined. A step has one of two forms. Either a line `Thought: ` that says what is to be \
found next, a line `Action: python` and one Python block, whose prints and last value come back \
after `Observation:`. Or, once the result is known, a line `Thought: ` and a line \
`Final answer: ` with the answer alone. Never write an observation yourself.

### Problem
How many of the numbers from 1 to 100 are divisible by 3 or by 7?

### Steps
Thought: I count the numbers that have one of the two divisors.
Action: python
```python
sum(n % 3 == 0 or n % 7 == 0 for n in range(1, 101))
```
Observation:
43

Thought: The count is 43.
Final answer: 43

### Problem
{question}

### Steps
"""


class Solved(TypedDict):
    """What it reads: a problem, and its answer or a solution that marks it."""

    instruction: str
    output: str


class Solution(TypedDict):
    """What it writes; `grounded`: the answer stands in what was seen or in the last thought."""

    output: str
    steps: list[Step]
    final_answer: str
    grounded: bool
    n_samples: int
    n_correct: int
    gen: Gen


class Mario(RowStage):
    """Make one row per sample: its solution where the answer is right, a Drop otherwise."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | frozenset(
        {"no_answer", "invalid_step", "no_final", "unsteady", "wrong_answer", "unjudged"}
    )

    samples: int = Field(default=3, ge=1)
    """Of a problem; the first one is greedy."""
    max_code: int = Field(default=5, ge=1)
    """Steps with code in a sample."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Wall-clock limit of one step, in seconds."""
    profile: PythonProfile = "sympy"
    """What code can import; see `verifiers.unit_tests`."""
    sampling: Sampling = Sampling(temperature=0.6, max_tokens=1024, stop=(SEEN,))

    def needs(self) -> dict[str, Op]:
        """One model thinks, the sandbox runs."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: Solved, ctx: Context) -> list[Solution | Drop] | Drop:
        """Let all samples run at once, then compare their answers with the known one."""
        gold = gold_of(row["output"])
        if not gold.strip():
            return Drop("no_answer", "the output is empty")
        branches = [(i == 0, ctx.branch(i)) for i in range(self.samples)]
        found = await asyncio.gather(*(self.sample(row["instruction"], *b) for b in branches))
        rows = [made if isinstance(made, Drop) else _judged(made, gold) for made in found]
        n_correct = sum(not isinstance(made, Drop) for made in rows)
        return [r if isinstance(r, Drop) else {**r, "n_correct": n_correct} for r in rows]

    async def sample(self, question: str, greedy: bool, ctx: Context) -> Solution | Drop:
        """Go on step by step until there is an answer; the history only grows."""
        how = replace(self.sampling, temperature=0.0) if greedy else self.sampling
        turns: list[Message] = [{"role": "user", "content": PROMPT.format(question=question)}]
        steps: list[Step] = []
        for _ in range(self.max_code + 1):
            reply = await complete(ctx.llm("generator"), turns, how)
            if isinstance(reply, Drop):
                return reply
            text = reply.text.partition(SEEN)[0].strip()
            if (found := read(text)) is None:
                return Drop("invalid_step", text)
            steps.append(found[0])
            turns = [*turns, {"role": "assistant", "content": text}]
            if found[1] is not None:
                return {
                    "output": "\n\n".join(turn["content"] for turn in turns[1:]),
                    "steps": steps,
                    "final_answer": found[1],
                    "grounded": is_grounded(found[1], steps),
                    "n_samples": self.samples,
                    "n_correct": 0,
                    "gen": reply.gen,
                }
            if isinstance(shown := await self.run(steps, ctx), Drop):
                return shown
            steps[-1]["output"] = shown
            turns.append({"role": "user", "content": f"{SEEN}\n{steps[-1]['output']}"})
        return Drop("no_final", f"no answer after {self.max_code} pieces of code")

    async def run(self, steps: list[Step], ctx: Context) -> str | Drop:
        """Return what the last code shows, with all before it run again; that must not change."""
        how: dict[str, Any] = {"timeout_s": self.timeout_s, "profile": self.profile}
        codes, shown = [s["code"] or "" for s in steps], [s["output"] for s in steps[:-1]]
        text, verdict = await show_last(ctx.sandbox.run, codes, shown, seen, **how)
        if text is None:
            return Drop("unsteady", f"{verdict.status}: {verdict.detail}: {verdict.cells}")
        return text


def _judged(made: Solution, gold: str) -> Solution | Drop:
    same, why = compare(gold, made["final_answer"]).same, f"{made['final_answer']} against {gold}"
    return made if same else Drop("unjudged" if same is None else "wrong_answer", why)
