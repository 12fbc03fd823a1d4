"""EpiCoder, last step: a task is analysed, solved in files with tests, run and repaired.

Source: Wang et al., "EpiCoder: Encompassing Diversity and Complexity in Code Generation",
arXiv:2501.04694, section 3.3; `microsoft/EpiCoder` (MIT) for the loop.
Differs from the paper: our own prompts; what passed is a verdict of the sandbox and not an empty
stderr; repairs cannot change the tests, and tests that functions which return None pass as well
prove nothing; packages are those that the sandbox has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.engines.sandbox.modules import Suite, judge, suite_of
from gristmill.engines.sandbox.profiles import PythonProfile
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.code_files import files_in, tests_among, written

ANALYSE = """Think a programming task through before anybody writes code: what is asked for, which \
cases lie at the edges, what it takes from the standard library, which tests would find mistakes. \
Write no code yet.

### Task
{instruction}

### Analysis"""
SOLVE = """Now write the solution in Python files, and one file whose name begins with `test_` \
with tests of exact values: plain asserts in functions, imports at the top, no clock, chance, \
network or pytest. Before each file stands a line `### name.py`, then one fenced block with the \
whole file."""
REPAIR = """The tests fail. They are right and cannot be changed. Say in a few sentences what is \
wrong, then write every file that changes as a whole, in the same form; add no files.

### What happened
{outcome}"""
AGAIN = """Correct Python files so that their tests pass. The tests are right and cannot be \
changed. Say in a few sentences what is wrong, then write every file that changes as a whole: a \
line `### name.py`, then one fenced block. Add no files.

{files}

### What happened
{outcome}"""
MAX_OUTCOME = 2000
"""Characters of what happened, the last ones."""
UNREPAIRABLE = {"missing_dependency": "missing_package", "weak_tests": "weak_tests"}


class Task(TypedDict):
    """What it reads."""

    instruction: str


class Solved(TypedDict):
    """What it writes: the answer has all files but the tests."""

    output: str
    test_file: str
    tests: str
    repair_rounds: int
    gen: Gen


class EpiCoderSolve(RowStage):
    """Analysis, files, tests; up to three repairs of the files."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | frozenset(
        {"no_files", "bad_tests", "missing_package", "weak_tests", "failed_tests", "flaky"}
    )

    repairs: int = Field(default=3, ge=0, le=5)
    """Rounds of repair at most."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Wall-clock limit of one run, in seconds."""
    profile: PythonProfile = "bare"
    """What programs can import; see `verifiers.unit_tests`."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """One model writes, the sandbox runs."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: Task, ctx: Context) -> Solved | Drop:
        """One call for the analysis, one for the files, one per repair."""
        turns = [_said("user", ANALYSE.format(instruction=row["instruction"]))]
        reply = await complete(ctx.llm("generator"), turns, self.sampling)
        if isinstance(reply, Drop):
            return reply
        turns = [*turns, _said("assistant", reply.text), _said("user", SOLVE)]
        reply = await complete(ctx.llm("generator"), turns, self.sampling)
        if isinstance(reply, Drop):
            return reply
        turns = [*turns, _said("assistant", reply.text)]
        files = files_in(reply.text) or {}
        if len(names := tests_among(files)) != 1 or len(files) < 2:
            return Drop("no_files", reply.text)
        tests = files.pop(names[0])
        suite = await suite_of(ctx.sandbox.run, tests, files)
        if suite.error:
            return Drop("bad_tests", f"{suite.error}: {tests}")
        repaired = await self.repair(files, suite, turns, {names[0]: tests}, ctx)
        if isinstance(repaired, Drop):
            return repaired
        files, rounds = repaired
        return {
            "output": written(files),
            "test_file": names[0],
            "tests": tests,
            "repair_rounds": rounds,
            "gen": reply.gen,
        }

    async def repair(
        self, files: dict[str, str], suite: Suite, turns: list[Message], shown: Mapping[str, str],
        ctx: Context,
    ) -> tuple[dict[str, str], int] | Drop:  # fmt: skip
        """Return files that pass, and after how many rounds; a bad reply costs its round."""
        limits: dict[str, Any] = {"timeout_s": self.timeout_s, "profile": self.profile}
        verdict = await judge(ctx.sandbox.run, files, suite, **limits)
        rounds = 0
        while verdict.status != "pass" and rounds < self.repairs:
            if verdict.status in UNREPAIRABLE or verdict.detail.startswith("flaky"):
                break
            said = f"{verdict.status}: {verdict.detail}\n{verdict.stderr}"[-MAX_OUTCOME:]
            told = AGAIN.format(files=written({**files, **shown}), outcome=said)
            first = [*turns, _said("user", REPAIR.format(outcome=said))]
            ask = [_said("user", told)] if rounds else first
            rounds += 1
            reply = await complete(ctx.llm("generator"), ask, self.sampling)
            found = None if isinstance(reply, Drop) else files_in(reply.text)
            new = {n: text for n, text in (found or {}).items() if shown.get(n) != text}
            if new and new.keys() <= files.keys():
                files = {**files, **new}
                verdict = await judge(ctx.sandbox.run, files, suite, **limits)
        if verdict.status == "pass":
            return files, rounds
        is_flaky = verdict.detail.startswith("flaky")
        code = "flaky" if is_flaky else UNREPAIRABLE.get(verdict.status, "failed_tests")
        return Drop(code, f"{verdict.status}: {verdict.detail}")


def _said(role: Any, text: str) -> Message:
    return {"role": role, "content": text}
