"""AutoTools, second half: requests solved by programs over verified functions, turn by turn.

Source: Shi et al., "Chain of Tools: Large Language Model is an Automatic Multi-tool Learner",
arXiv:2405.16533; `mangopy/AutoTools` (Apache-2.0): an interpreter that remembers, output cut at
1,000 characters, an answer with a mark.
Differs from the paper: our own prompt; programs run in the sandbox on a simulated API; what was
called gets the same successes outside, or the row leaves.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.engines.sandbox.inspecting import found, inspection
from gristmill.engines.sandbox.program import Program
from gristmill.engines.sandbox.replaying import show_last
from gristmill.generators.auto_tools import Function
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import tool_programs
from gristmill.text.fences import python_code
from gristmill.text.interpreter_steps import observed
from gristmill.text.tool_calls import api_of
from gristmill.text.tool_worlds import INNER, LOG, prelude, told
from gristmill.text.turns import WholeTurn, whole

RULES = """Do what a user asks for by Python programs that call the functions below, in an \
interpreter that remembers what was defined. In a turn, think in a sentence or two, then write one \
Python block; what it prints is shown to you. Where the answer is known, print it after the word \
FINISH: print("FINISH", answer). It is all that the user reads.

### Functions
{functions}"""
WRONG_FORM = "Write one Python block."
MAX_SEEN = 1000
"""Characters of an output that are shown."""
MARK = "FINISH"
Row = TypedDict(
    "Row",
    {"instruction": str, "meta.tool_llm.api": str, "meta.auto_tools.functions": list[Function]},
)


class Solved(TypedDict):
    """What it writes."""

    messages: list[WholeTurn]
    output: str
    program: str
    """All turns' code, one after the other."""
    calls: list[str]
    """Operations that it called, in order."""
    turns: int
    gen: Gen


class AutoToolsSolve(RowStage):
    """Let a model program until it finishes."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | frozenset(
        {"no_function", "machinery", "unsteady", "unfinished", "no_call", "failed_call"}
    )

    steps: int = Field(default=6, ge=1)
    """Turns at most. Our choice."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Wall-clock limit of one program, in seconds."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=1024)

    def needs(self) -> dict[str, Op]:
        """One model programs, the sandbox runs."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: Row, ctx: Context) -> Solved | Drop:
        """Give it the verified functions of the operations that the request was made for."""
        api = api_of(row["meta.tool_llm.api"])
        drawn = {one["name"] for one in api["endpoints"]}
        tools = [one for one in row["meta.auto_tools.functions"] if one["operation"] in drawn]
        if not tools:
            return Drop("no_function", "none of the operations has a verified function")
        heads = "\n\n".join(f'{one["head"]}:\n    """{one["about"]}"""' for one in tools)
        turns = [Message(role="system", content=RULES.format(functions=heads))]
        turns.append(Message(role="user", content=row["instruction"]))
        cells = ["\n\n".join([prelude(api), *(one["source"] for one in tools)])]
        shown = ["(nothing)"]
        for _ in range(self.steps):
            reply = await complete(ctx.llm("generator"), turns, self.sampling)
            if isinstance(reply, Drop):
                return reply
            turns = [*turns, {"role": "assistant", "content": reply.text}]
            if not (code := python_code(reply.text)):
                turns = [*turns, {"role": "user", "content": f"Observation: {WRONG_FORM}"}]
                continue
            inner = found(await ctx.sandbox.run(inspection(tool_programs, "foreign", code, INNER)))
            if inner is None:
                return Drop("unsteady", f"it could not be looked at: {code}")
            if inner:
                return Drop("machinery", f"{inner}: {code}")
            cells.append(code)
            how: dict[str, Any] = {"timeout_s": self.timeout_s, "profile": "bare"}
            seen, verdict = await show_last(ctx.sandbox.run, cells, shown, observed, **how)
            if seen is None:
                return Drop("unsteady", f"{verdict.status}: {verdict.detail}")
            shown.append(seen)
            printed = verdict.cells[-1]["stdout"]
            if verdict.cells[-1]["status"] == "pass" and MARK in printed:
                answer = printed.partition(MARK)[2].strip()
                return await self._solved(row, turns, cells, answer, reply.gen, ctx)
            turns = [*turns, {"role": "user", "content": f"Observation: {seen[:MAX_SEEN]}"}]
        return Drop("unfinished", turns[-1]["content"])

    async def _solved(
        self, row: Row, turns: list[Message], cells: list[str], answer: str, gen: Gen, ctx: Context
    ) -> Solved | Drop:
        """Return the row, if what the program called is as successful outside."""
        limits = {"cell_timeout_s": self.timeout_s, "timeout_s": self.timeout_s * 2 * len(cells)}
        verdict = await ctx.sandbox.run(Program("", cells=(*cells, LOG), **limits))  # type: ignore[arg-type]
        is_run = verdict.status == "pass"
        made = (
            told(api_of(row["meta.tool_llm.api"]), verdict.cells[-1]["stdout"]) if is_run else None
        )
        program = "\n\n".join(cells[1:])
        if made is None:
            return Drop("failed_call", program)
        calls = [one["name"] for one in made[0]]
        if not calls or not answer:
            return Drop("unfinished" if calls else "no_call", program)
        return Solved(
            messages=[whole(turn["role"], turn["content"]) for turn in turns],
            output=answer, program=program, calls=calls, turns=len(cells) - 1, gen=gen,
        )  # fmt: skip
