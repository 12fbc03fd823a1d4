"""Alpaca's variant of Self-Instruct: one call writes many whole tasks, after three of people.

Source: Taori et al., "Stanford Alpaca", 2023, `tatsu-lab/stanford_alpaca` (code Apache-2.0), on
Wang et al., "Self-Instruct", arXiv:2212.10560.
Differs from the published code: our own rules; the first of the three tasks shown is the row's own
seed, so that lineage is true; a task whose output is empty or a refusal leaves as well.
"""

from __future__ import annotations

import re
from typing import ClassVar, TypedDict

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import detectors
from gristmill.text.instances import Seed, brought
from gristmill.text.task_rules import MODALITIES, TASK_FLAWS, one_line, task_flaw

RULES = """Write a list of different tasks for a text assistant, each with an input and an output.

What a good list is like:
- Verbs, topics and kinds of task vary; some are questions, some are commands.
- Every task can be done in writing: nothing to see, hear, draw, look up or remember for later.
- An instruction is English and takes one or two sentences.
- An input is concrete and realistic, at most 100 words. A task that needs none has <noinput>.
- An output is a correct and complete answer to instruction and input.

The {n} tasks:
"""
FENCE = re.compile(r"(?m)^[ \t]*###.*$")
FIELDS = re.compile(r"(?m)^[ \t]*(?:\d+\s*\.\s*)?(Instruction|Input|Output)[ \t]*:")
ALPACA = (*MODALITIES, "video", "audio", "music", "flowchart", "diagram")


class Task(TypedDict):
    """What it writes; `shown` are the instructions of the prompt's tasks, none for a seed."""

    instruction: str
    input: str | None
    output: str
    gen: Gen | None
    shown: list[str]


class AlpacaStyle(RowStage):
    """Round 0 takes the seed into the pool; in later ones its prompt gives whole new tasks."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | TASK_FLAWS | {"not_three_fields", "no_answer"}

    n: int = Field(default=20, ge=2)
    """Tasks of a list, those shown included."""
    shots: int = Field(default=3, ge=1)
    """Tasks shown, all of people."""
    banned: tuple[str, ...] = Field(default=ALPACA, min_length=1)
    """Words and phrases that no instruction may have, in any case."""
    sampling: Sampling = Sampling(temperature=1.0, top_p=1.0, max_tokens=3072)
    """A list ends at its last number besides."""

    def needs(self) -> dict[str, Op]:
        """One model continues the list, as plain text."""
        return {"generator": "generate"}

    async def __call__(self, row: Seed, ctx: Context) -> list[Task | Drop] | Drop:
        """Ask for one list, and look at every task of it alone."""
        given, output = brought(row)
        if not output:
            return Drop("no_answer", "a seed is shown with its output")
        own = row["instruction"], given, output
        if not ctx.round:
            return [Task(instruction=own[0], input=given, output=output, gen=None, shown=[])]
        shown = [own, *self._others(own[0], ctx)]
        reply = await complete(ctx.llm("generator"), *self.request(shown), whole=False)
        if isinstance(reply, Drop):
            return reply
        blocks = [block for block in FENCE.split(reply.text) if block.strip()] or [reply.text]
        tasks = [self._task(block, [one[0] for one in shown], reply.gen) for block in blocks]
        if reply.finish_reason == "length":
            tasks[-1] = Drop("cut_off", blocks[-1])
        return tasks

    def request(self, shown: list[tuple[str, str | None, str]]) -> tuple[str, Sampling]:
        """Return the list up to the first task that the model writes, and how to sample it."""
        text = RULES.replace("{n}", str(self.n))
        for i, (task, given, output) in enumerate(shown, 1):
            text += f"###\n{i}. Instruction: {one_line(task)}\n"
            text += f"{i}. Input:\n{given or '<noinput>'}\n{i}. Output:\n{output}\n"
        how = self.sampling
        stop = (*how.stop, f"\n{self.n + 1}.")
        return (
            f"{text}###\n{len(shown) + 1}. Instruction:",
            Sampling(how.temperature, how.top_p, how.max_tokens, stop),
        )

    def _others(self, own: str, ctx: Context) -> list[tuple[str, str | None, str]]:
        """Draw the other tasks of people."""
        assert ctx.pool is not None
        pool = ctx.pool.select(["round", "instruction", "input", "output"])
        is_other = pc.and_(pc.equal(pool["round"], 0), pc.not_equal(pool["instruction"], own))
        pool = pool.filter(is_other)
        places = ctx.rng.sample(range(len(pool)), k=min(self.shots - 1, len(pool)))
        others = pool.take(pa.array(places, pa.int64())).to_pylist()
        return [(one["instruction"], one["input"], one["output"]) for one in others]

    def _task(self, block: str, shown: list[str], gen: Gen) -> Task | Drop:
        parts = FIELDS.split(block if FIELDS.match(block.lstrip()) else f"Instruction:{block}")
        if [name.lower() for name in parts[1::2]] != ["instruction", "input", "output"]:
            return Drop("not_three_fields", block)
        task, given, output = (text.strip() for text in parts[2::2])
        if flaw := task_flaw(task, self.banned):
            return Drop(flaw[0], f"{flaw[1]}: {task}")
        if not output or detectors.declines(output):
            return Drop("refusal" if output else "no_answer", f"{task} -> {output}")
        bare = None if detectors.is_marker(given) else given or None
        return Task(instruction=task, input=bare, output=output, gen=gen, shown=shown)
