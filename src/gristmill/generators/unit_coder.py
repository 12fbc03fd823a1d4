"""UnitCoder, first half: a real function gets unit tests, and repairs until it passes them.

Source: Ma et al., "UnitCoder: Scalable Iterative Code Synthesis with Unit Test Guidance",
arXiv:2502.11460, section 3; nothing was released. Before it `filters.calls_packages` finds
functions, after it comes `unit_coder_refine`.
Differs from the paper: our own prompts, and one model in the place of a fine-tuned test generator;
the number of repairs is our choice. Tests that functions which return None pass as well prove
nothing, and a verdict that changes is flaky. Tests say what the code does, not what it should do.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.engines.sandbox.inspecting import found, inspection
from gristmill.engines.sandbox.profiles import PythonProfile
from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import function_parts
from gristmill.text.fences import fenced, python_code

TESTS = """Write unit tests for the last function of a piece of Python code, which is right as it \
is. Three to eight cases, each an `assert` that compares what a call returns with the exact value; \
cover usual input and edges. No network, no clock, no random numbers, no files. The code is \
defined already: never repeat or import it. Reply with one Python block.

### Code
{code}

### Tests"""
FIX = """The last function of a piece of Python code does not pass its unit tests. Correct the \
code with as few changes as possible; its name and signature stay. The tests cannot be changed and \
are not repeated. Reply with the whole code in one Python block.

### Tests
{tests}

### Code
{code}

### What happened
{outcome}

### Corrected code"""
UNREPAIRABLE = {"missing_dependency": "missing_package", "weak_tests": "weak_tests"}
"""Verdicts that no repair of the code can change, and the codes of their rows."""
MAX_OUTCOME = 2000
"""Characters of what happened, the last ones."""


class Seed(TypedDict):
    """What it reads: a function with its imports, as `python_functions` finds them."""

    code: str
    name: NotRequired[str | None]


class Tested(TypedDict):
    """What it writes: what stands above a function's body is to be completed by the whole code."""

    instruction: str
    output: str
    tests: str
    name: str
    repair_rounds: int
    gen: Gen


class UnitCoder(RowStage):
    """Write tests for a function, and repair it against them; the tests never change."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | frozenset(
        {"no_function", "no_tests", "missing_package", "weak_tests", "failed_tests", "flaky"}
    )

    repairs: int = Field(default=3, ge=0, le=5)
    """Rounds of repair at most. Our choice."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Wall-clock limit of one run, in seconds."""
    profile: PythonProfile = "bare"
    """What programs can import; see `verifiers.unit_tests`."""
    sampling: Sampling = Sampling(temperature=0.2, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """One model tests and repairs."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: Seed, ctx: Context) -> Tested | Drop:
        """One call for the tests, one per repair."""
        code, name = row["code"].strip(), row.get("name") or ""
        task = found(await ctx.sandbox.run(inspection(function_parts, "outline", code, name)))
        if not task or "error" in task:
            return Drop("no_function", (task or {}).get("error", "it could not be parsed"))
        ask: list[Message] = [{"role": "user", "content": TESTS.format(code=code)}]
        reply = await complete(ctx.llm("generator"), ask, self.sampling)
        if isinstance(reply, Drop):
            return reply
        if (tests := python_code(reply.text)) is None:
            return Drop("no_tests", reply.text)
        repaired = await self.repair(code, task["stub"], tests, ctx)
        if isinstance(repaired, Drop):
            return repaired
        code, rounds = repaired
        prefix = await ctx.sandbox.run(inspection(function_parts, "prefix", code, task["name"]))
        return {
            "instruction": f"Complete this Python code.\n\n{fenced(found(prefix))}",
            "output": fenced(code),
            "tests": tests,
            "name": task["name"],
            "repair_rounds": rounds,
            "gen": reply.gen,
        }

    async def repair(
        self, code: str, stub: str, tests: str, ctx: Context
    ) -> tuple[str, int] | Drop:
        """Return code that passes twice, and after how many rounds; a bad reply costs its round."""
        verdict = await self.run(code, tests, ctx)
        rounds = 0
        while verdict.status != "pass" and rounds < self.repairs:
            if verdict.status in UNREPAIRABLE:
                break
            rounds += 1
            said = f"{verdict.status}: {verdict.detail}\n{verdict.stderr}"[-MAX_OUTCOME:]
            text = FIX.format(tests=tests, code=code, outcome=said)
            ask: list[Message] = [{"role": "user", "content": text}]
            reply = await complete(ctx.llm("generator"), ask, self.sampling)
            new = None if isinstance(reply, Drop) else python_code(reply.text)
            flaw = inspection(function_parts, "flaw", new or "", stub)
            if new and found(await ctx.sandbox.run(flaw)) == "":
                code, verdict = new, await self.run(new, tests, ctx)
        if verdict.status != "pass":
            why = UNREPAIRABLE.get(verdict.status, "failed_tests")
            return Drop(why, f"{verdict.status}: {verdict.detail}")
        again = await self.run(code, tests, ctx, attempt=1)
        if again.status != "pass":
            return Drop("flaky", f"pass, then {again.status}: {again.detail}")
        return code, rounds

    def run(self, code: str, tests: str, ctx: Context, attempt: int = 0) -> Awaitable[Verdict]:
        """Run code against its tests."""
        return ctx.sandbox.run(
            Program(code, tests, timeout_s=self.timeout_s, profile=self.profile, attempt=attempt)
        )
