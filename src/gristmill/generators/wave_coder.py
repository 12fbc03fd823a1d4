"""WaveCoder, the generator: raw code becomes a task of a type, after a good and a bad example.

Source: Yu et al., "WaveCoder: Widespread And Versatile Enhancement For Code Large Language Models
By Instruction Tuning", arXiv:2312.14187, section 3.2; `microsoft/WaveCoder` (MIT) for the form and
the rules. `selectors.wavecoder_coreset` comes before, `filters.wave_coder_judge` after it.
Differs from the paper: our own prompts and examples; the base of examples grows between rounds, and
rows draw one of `shot_sets` pairs from it; Python is run in the sandbox; the paper runs nothing.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random
from typing import Any, ClassVar, TypedDict

import orjson
from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.engines.sandbox.scripts import alone
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.fences import fenced
from gristmill.text.judged_tasks import judged_examples, task_in

TYPES = {
    "generation": "The task is to write code that does what is described; information may say "
    "more about it. The solution is one Python block.",
    "summarization": "The task is to say what code does, for somebody who did not write it. "
    "Information is the code in a block, the solution plain text.",
    "translation": "The task is to write the same program in another programming language, which "
    "the instruction names. Information is the code in a block, the solution one block.",
    "repair": "The task is to find and correct a mistake in code. Information is the code with "
    "one realistic mistake in a block, the solution the corrected code in one Python block.",
}
GENERATE = """Make a task for programmers out of code. The instruction is one or two sentences and \
names the programming language. Information has at most two sentences besides code, or is `none`. \
The solution is complete: it imports what it uses, is easy to follow, and has no explanation \
outside the code. Write these four keys in this order, each once, on lines of their own: \
`task_name:`, `instruction:`, `information:`, `solution:`. {definition}

### A good example
{good}

### A bad example, with what is wrong about it
{bad}

### Code
{block}

### Task
"""
EXAMPLES = Path(__file__).with_suffix(".examples.jsonl")


class Tasked(TypedDict):
    """What it writes; `ran`: whether Python came to its end, None where nobody could say."""

    instruction: str
    input: str | None
    output: str
    task_name: str
    task_type: str
    shown: list[str]  # the first lines of the good and the bad example
    ran: bool | None
    gen: Gen


class WaveCoder(RowStage):
    """Make one task of a row in every round, with examples that earlier rounds were judged on."""

    version: ClassVar[int] = 3
    codes: ClassVar[frozenset[str]] = REPLY_CODES | frozenset(
        {"no_type", "no_task", "empty_keys", "too_long", "not_running"}
    )

    code: str = Field(default="code", pattern=r"^\w+$")
    """Column with the raw code."""
    types: str = Field(default="scores.task_types.task_type", pattern=r"^\w+(\.\w+)*$")
    """Column with the type of task."""
    base: int = Field(default=100, ge=1)
    """Rows of each verdict in the base at most, the first of the pool. Our choice."""
    shot_sets: int = Field(default=16, ge=1)
    """Draws from the base in a round, per type. Our choice."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Wall-clock limit of a run, in seconds."""
    sampling: Sampling = Sampling(temperature=1.0, max_tokens=1024)

    def reads(self) -> frozenset[str]:
        """The columns are parameters."""
        return frozenset({self.code, self.types})

    def needs(self) -> dict[str, Op]:
        """One model writes, the sandbox runs."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> Tasked | Drop:
        """Ask once, look at every key."""
        kind = row[self.types]
        if kind not in TYPES:
            return Drop("no_type", f"{kind!r} is none of {', '.join(TYPES)}")
        good, bad = self.examples(kind, ctx)
        block = fenced(row[self.code].strip(), "")
        text = GENERATE.format(definition=TYPES[kind], good=good, bad=bad, block=block)
        ask: list[Message] = [{"role": "user", "content": text}]
        reply = await complete(ctx.llm("generator"), ask, self.sampling)
        if isinstance(reply, Drop):
            return reply
        task = task_in(reply.text)
        if task is None or task.flaw:
            return Drop(task.flaw if task else "no_task", reply.text)
        is_python = kind in ("generation", "repair")
        ran = await alone(ctx.sandbox.run, task.solution, self.timeout_s) if is_python else None
        if isinstance(ran, str):
            return Drop("not_running", ran)
        return {
            "instruction": task.instruction,
            "input": task.information or None,
            "output": task.solution,
            "task_name": task.task_name,
            "task_type": kind,
            "shown": [good.partition("\n")[0], bad.partition("\n")[0]],
            "ran": ran,
            "gen": reply.gen,
        }

    def examples(self, kind: str, ctx: Context) -> tuple[str, str]:
        """Draw a good and a bad example of a type; those that come along open the base."""
        rows = [] if ctx.pool is None else ctx.pool.slice(0, 8 * self.base).to_pylist()
        rng = Random(f"{ctx.seed}/{ctx.round}/{kind}/{ctx.rng.randrange(self.shot_sets)}")
        good, bad = (
            judged_examples(rows, kind, good=good, most=self.base) or [_examples()[not good]]
            for good in (True, False)
        )
        return rng.choice(good), rng.choice(bad)


@cache
def _examples() -> tuple[str, ...]:
    """Return the good and the bad example that come along."""
    return tuple(orjson.loads(line)["shown"] for line in EXAMPLES.read_bytes().splitlines())
