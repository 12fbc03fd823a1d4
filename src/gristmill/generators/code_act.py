"""CodeAct: a task is solved in turns with a Python interpreter; what took several turns stays.

Source: Wang et al., "Executable Code Actions Elicit Better LLM Agents", arXiv:2402.01030, section
3; `xingyaoww/code-act` (MIT) for the form of turns and the filters.
Differs from the paper: our own prompt; one model, and none stronger for what stays unsolved;
answers are compared by `text.math_answers` or by tests; one that nobody can judge ends its episode.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.engines.sandbox.profiles import PythonProfile
from gristmill.engines.sandbox.program import UNJUDGED, Program
from gristmill.engines.sandbox.replaying import show_last
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.fences import python_code
from gristmill.text.headed import tagged
from gristmill.text.interpreter_steps import observed
from gristmill.text.math_answers import compare, gold_of
from gristmill.text.turns import WholeTurn

RULES = """Solve a task in turns. In a turn, think first, then do one of two things: run Python in \
an interpreter that remembers what was defined, between <execute> and </execute>, whose output \
comes back to you; or answer, between <solution> and </solution>, with the answer alone or, where \
code is asked for, with one Python block."""
EXAMPLE = """

For example:

Task: What is the sum of the first 20 prime numbers?
You: I need the primes first.
<execute>
primes = [n for n in range(2, 100) if all(n % d for d in range(2, n))]
print(len(primes), sum(primes[:20]))
</execute>
Observation: 25 639
You: <solution>639</solution>"""
WRONG_FORM = "No <execute> or <solution> was found, or more than one. Write one of the two."
WRONG_ANSWER = "The answer is wrong."
LEFT = "{steps} turns and {attempts} answers are left."
ACTIONS = ("execute", "solution")


class Task(TypedDict):
    """What it reads: a task with its answer, or with tests of the code that it asks for."""

    instruction: str
    output: NotRequired[str | None]
    tests: NotRequired[str | None]


class Episode(TypedDict):
    """What it writes: the conversation without the worked example."""

    messages: list[WholeTurn]
    output: str
    turns: int
    repaired: bool
    """Whether code failed, and later code did not."""
    gen: Gen


class CodeAct(RowStage):
    """Let a model act until its answer is right; what was easy or never right leaves."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | frozenset(
        {"no_answer", "easy", "unsolved", "unjudged", "unsteady", "no_clean_run"}
    )

    steps: int = Field(default=5, ge=1)
    """Turns at most."""
    attempts: int = Field(default=2, ge=1)
    """Answers at most."""
    easy: int = Field(default=2, ge=0)
    """Tasks that are solved within so many turns leave."""
    timeout_s: float = Field(default=30.0, gt=0, le=600)
    """Wall-clock limit of one piece of code, in seconds."""
    profile: PythonProfile = "bare"
    """What code can import; see `verifiers.unit_tests`."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=512)

    def needs(self) -> dict[str, Op]:
        """One model acts, the sandbox runs."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: Task, ctx: Context) -> Episode | Drop:
        """Go on turn by turn; the history only grows."""
        if not (row.get("tests") or gold_of(row.get("output") or "").strip()):
            return Drop("no_answer", "the row has neither an answer nor tests")
        turns = [Message(role="system", content=RULES + EXAMPLE)]
        turns.append(Message(role="user", content=row["instruction"]))
        cells, shown, clean, answers = list[str](), list[str](), list[bool](), 0
        for left in reversed(range(self.steps)):
            reply = await complete(ctx.llm("generator"), turns, self.sampling)
            if isinstance(reply, Drop):
                return reply
            turns = [*turns, {"role": "assistant", "content": reply.text}]
            found = tagged(reply.text, ACTIONS)
            kind, text = found[0] if len(found) == 1 else ("", "")
            said = WRONG_FORM
            if kind == "solution":
                right, answers, said = await self.right(text, row, ctx), answers + 1, WRONG_ANSWER
                if right is None:
                    return Drop("unjudged", text)
                if right:
                    return self.ended(turns, text.strip(), clean, reply.gen)
            elif kind == "execute":
                cells.append(python_code(text) or text.strip("\n"))
                how: dict[str, Any] = {"timeout_s": self.timeout_s, "profile": self.profile}
                seen, verdict = await show_last(ctx.sandbox.run, cells, shown, observed, **how)
                if seen is None:
                    return Drop("unsteady", f"{verdict.status}: {verdict.detail}")
                shown.append(said := seen)
                clean.append(verdict.cells[-1]["status"] == "pass")
            if answers == self.attempts:
                break
            told = LEFT.format(steps=left, attempts=self.attempts - answers)
            turns = [*turns, {"role": "user", "content": f"Observation: {said}\n({told})"}]
        return Drop("unsolved", turns[-1]["content"])

    def ended(
        self, turns: list[Message], answer: str, clean: list[bool], gen: Gen
    ) -> Episode | Drop:
        """Return the row of a solved task that teaches something."""
        n = sum(turn["role"] == "assistant" for turn in turns)
        if n <= self.easy:
            return Drop("easy", f"{n} turns")
        if True not in clean:
            return Drop("no_clean_run", f"{len(clean)} pieces of code, each with an error")
        first = Message(role="system", content=RULES)
        told: list[WholeTurn] = [{**turn, "extra": None} for turn in (first, *turns[1:])]
        is_repaired = False in clean and True in clean[clean.index(False) :]
        return {"messages": told, "output": answer, "turns": n, "repaired": is_repaired, "gen": gen}

    async def right(self, text: str, row: Mapping[str, Any], ctx: Context) -> bool | None:
        """Say whether an answer is right; None where nobody can say."""
        if not (tests := row.get("tests")):
            return compare(gold_of(row["output"]), text.strip()).same
        code = python_code(text) or text
        ask = Program(code, tests, timeout_s=self.timeout_s, profile=self.profile)
        status = (await ctx.sandbox.run(ask)).status
        return None if status in UNJUDGED else bool(status == "pass")
