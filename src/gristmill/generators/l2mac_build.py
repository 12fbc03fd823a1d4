"""L2MAC, second half: the steps of a plan become files, each step in contexts of its own.

Source: Holt, Luyten and van der Schaar, "L2MAC: Large Language Model Automatic Computer for
Extensive Code Generation", arXiv:2310.02003, section 4; `samholt/L2MAC` for the parts.
Differs from the paper: our own prompt and forms, every turn a prompt of its own; a step ends when
files parse and tests pass, and in the end the tests must fail on functions that return None.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.engines.sandbox.modules import checked
from gristmill.engines.sandbox.profiles import PythonProfile
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.code_files import tests_among, written
from gristmill.text.file_store import action_of, listing, shown, within

STEP = """You carry out one step of a plan for a Python program, standard library only. You see \
the specification, the step, which files there are, what happened last. In a reply do one thing:
- read files: a line `READ: name.py other.py`;
- write files as a whole: for each a line `### name.py`, then one fenced block. Tests of exact \
values are plain asserts in functions, in files named `test_...`, with imports at the top;
- end the step: a line `DONE: ` and what the next step must know, in one or two sentences.

### Specification
{specification}

### Step
{step}

### Said by the step before
{summary}

### Files
{files}

### What happened last
{outcome}

### Your reply"""
WRONG_FORM = "The reply did nothing, more than one thing, or named a file outside the folder."
MAY_END = {"pass", "weak_tests", "no_tests"}  # a step, not the plan


class File(TypedDict):
    """One write: a file's name and whole text."""

    path: str
    text: str


class Step(TypedDict):
    """What a step did, with a check per write; all writes in their order give the final files."""

    instruction: str
    writes: list[File]
    checks: list[str]
    summary: str


class Built(TypedDict):
    """What it writes; the output has all files but the tests."""

    output: str
    tests: list[File]
    steps: list[Step]
    gen: Gen


class L2macBuild(RowStage):
    """Carry out every step with reads, writes and checks."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {
        "no_plan", "step_failed", "flaky", "weak_tests",
    }  # fmt: skip

    of: str = Field(default="l2mac", pattern=r"^\w+$")
    """Label of the planner."""
    turns: int = Field(default=8, ge=2)
    """Replies per step, at most. Our choice, as is the next."""
    budget: int = Field(default=16_000, ge=4_000)
    """Characters of a prompt, at most, however many files there are."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Wall-clock limit of one run, in seconds."""
    profile: PythonProfile = "bare"
    """What programs can import; see `verifiers.unit_tests`."""
    sampling: Sampling = Sampling(temperature=0.2, max_tokens=2048)

    def reads(self) -> frozenset[str]:
        """The column of the plan depends on `of`."""
        return frozenset({"instruction", f"meta.{self.of}.prompt_program"})

    def needs(self) -> dict[str, Op]:
        """One model writes, the sandbox checks."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> Built | Drop:
        """At least two calls per step."""
        files, steps, summary, gen = dict[str, str](), list[Step](), "(none)", None
        for text in row[f"meta.{self.of}.prompt_program"] or ():
            step = await self.carry_out(row["instruction"] or "", text, summary, files, ctx)
            if isinstance(step, Drop):
                return step
            steps.append(step[0])
            summary, gen = step[0]["summary"], step[1]
        if gen is None:
            return Drop("no_plan", "a plan without steps")
        status, why = await checked(ctx.sandbox.run, files, self.timeout_s, self.profile)
        if status != "pass":
            return Drop("weak_tests" if status in MAY_END else "step_failed", f"{status}: {why}")
        tests = {name: files.pop(name) for name in tests_among(files)}
        told = [File(path=name, text=text) for name, text in tests.items()]
        return {"output": written(files), "tests": told, "steps": steps, "gen": gen}

    async def carry_out(
        self, specification: str, text: str, summary: str, files: dict[str, str], ctx: Context
    ) -> tuple[Step, Gen] | Drop:
        """Go on until the step ends; `files` is changed."""
        step: Step = {"instruction": text, "writes": [], "checks": [], "summary": ""}
        parts = {"specification": specification, "step": text, "summary": summary}
        outcome, status = "(nothing)", ""
        for _ in range(self.turns):
            seen = within(self.budget, STEP, **parts, files=listing(files), outcome=outcome)
            ask: list[Message] = [{"role": "user", "content": seen}]
            reply = await complete(ctx.llm("generator"), ask, self.sampling)
            if isinstance(reply, Drop):
                return reply
            action = action_of(reply.text, files)
            if action is None:
                outcome = WRONG_FORM
            elif action.kind == "read":
                outcome = shown(files, action.names)
            elif action.kind == "write":
                files |= action.files
                step["writes"] += [File(path=n, text=t) for n, t in action.files.items()]
                status, why = await checked(ctx.sandbox.run, files, self.timeout_s, self.profile)
                step["checks"].append(outcome := f"{status}: {why}")
            elif status in MAY_END:
                return {**step, "summary": action.summary}, reply.gen
            else:
                outcome = f"The step cannot end: {outcome if status else 'no file was written'}"
        is_flaky = any(": flaky: " in check for check in step["checks"][-1:])
        return Drop("flaky" if is_flaky else "step_failed", f"{text}: {outcome}")
