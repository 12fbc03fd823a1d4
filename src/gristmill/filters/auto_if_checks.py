"""Keep instructions for which a model writes functions and cases that bear each other out.

Source: Dong et al., "Self-play with Execution Feedback: Improving Instruction-following
Capabilities of Large Language Models", arXiv:2406.13542, section 3.1 (verification functions and
their cross-validation); `QwenLM/AutoIF` (Apache-2.0).
Differs from the paper: our own prompt; a case needs two functions instead of one, and cases of both
kinds must be there (`agreement: 1` and `min_share: 0` is the released code).
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, TypedDict

from pydantic import BaseModel, Field

from gristmill.engines.requests import Message, Op, Sampling
from gristmill.engines.sandbox.written_checks import accuracy, agreed, asked, is_python, said
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import fill
from gristmill.pipelines.stage import Drop, RowStage

WRITE = """Write a Python function that tells whether a response follows an instruction, and three \
cases to test it with, some that follow it and some that do not. The function uses the standard \
library, reads no file and asks no network. Reply with JSON alone: {{"func": \
"def evaluate(response: str) -> bool: ...", "cases": [{{"input": "...", "output": true}}, ...]}}

### Instruction
{instruction}

### JSON"""


class Atom(TypedDict):
    """What it reads."""

    instruction: str


class Case(BaseModel):
    """A response and whether it follows the instruction."""

    input: str
    output: bool


class Written(BaseModel):
    """What the model writes."""

    func: str
    cases: list[Case]


class Checks(TypedDict):
    """What it writes: the functions that were kept, and the cases."""

    functions: list[str]
    accuracies: list[float]
    """Share (0..1) of the kept cases that each gets right."""
    inputs: list[str]
    outputs: list[bool]


class AutoIfChecks(RowStage):
    """Draw functions with cases, and keep what agrees; without a function the row leaves."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = frozenset({"too_few", "one_sided", "no_function"})

    n: int = Field(default=8, ge=1)
    """Functions drawn, with three cases each. Our choice: the released code leaves it open."""
    min_functions: int = Field(default=3, ge=1)
    """Distinct ones that are Python."""
    min_cases: int = Field(default=10, ge=1)
    """Distinct ones that must be there before any function is run."""
    agreement: int = Field(default=2, ge=1)
    """Functions that must give a case's output for it to stay."""
    min_accuracy: float = Field(default=0.8, ge=0, le=1)
    """Share of the kept cases that a function must get right."""
    min_share: float = Field(default=0.2, ge=0, le=0.5)
    """Share of the kept cases that each of the two outputs must have: a function that always says
    yes is then wrong in so many."""
    timeout_s: float = Field(default=5.0, gt=0, le=600)
    """Wall-clock limit of one function over all cases, in seconds."""
    sampling: Sampling = Sampling(temperature=1.0)

    def needs(self) -> dict[str, Op]:
        """A model writes, the sandbox runs."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: Atom, ctx: Context) -> Checks | Drop:
        """Write, run, keep."""
        prompt, llm = WRITE.format(instruction=row["instruction"]), ctx.llm("generator")
        ask: list[Message] = [{"role": "user", "content": prompt}]
        drawn = [fill(llm, ask, self.sampling, Written) for _ in range(self.n)]
        made = [one[0] for one in await asyncio.gather(*drawn) if not isinstance(one, Drop)]
        functions = list(dict.fromkeys(one.func for one in made))
        cases = dict.fromkeys((case.input, case.output) for one in made for case in one.cases)
        inputs, outputs = [text for text, _ in cases], [wanted for _, wanted in cases]
        if len(functions) < self.min_functions or len(cases) < self.min_cases:
            return Drop("too_few", f"{len(functions)} functions, {len(cases)} cases")
        runs = [ctx.sandbox.run(asked(one, inputs, self.timeout_s)) for one in functions]
        verdicts = await asyncio.gather(*runs)
        if (n := sum(map(is_python, verdicts))) < self.min_functions:
            return Drop("too_few", f"{n} of {len(functions)} functions are Python")
        answers = [said(verdict, len(inputs)) for verdict in verdicts]
        kept = agreed(outputs, answers, self.agreement)
        share = min(sum(outputs[i] is each for i in kept) for each in (True, False))
        if not kept or share < self.min_share * len(kept):
            return Drop("one_sided", f"{len(kept)} cases stay, {share} of the rarer output")
        rates = [accuracy(outputs, found, kept) for found in answers]
        good = [i for i, rate in enumerate(rates) if rate >= self.min_accuracy]
        if not good:
            return Drop("no_function", f"the best gets {max(rates):.2f} of {len(kept)} cases right")
        return {
            "functions": [functions[i] for i in good],
            "accuracies": [rates[i] for i in good],
            "inputs": [inputs[i] for i in kept],
            "outputs": [outputs[i] for i in kept],
        }
