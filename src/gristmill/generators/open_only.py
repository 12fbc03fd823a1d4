"""Instructions by open models only: after three tasks of a fixed set the model writes a fourth.

Source: Wang et al., "Harnessing the Power of David against Goliath", arXiv:2308.12711 (open models
in place of closed ones, two strategies for quality), on Honovich et al., "Unnatural Instructions",
arXiv:2212.09689, section 2.
Differs from the paper: known from its abstract. The strategies are ours: rounds, each written by a
generator tuned on the rows before, and `open_only_improve`. Our own sets of tasks; a task is not
said again in other words, so that every answer belongs to its own question.
"""

from __future__ import annotations

import asyncio
import re
from typing import ClassVar, NotRequired, TypedDict

import pyarrow.compute as pc
from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import detectors
from gristmill.text.headed import headed
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.rouge import rouge_l
from gristmill.text.turns import question

HEADER = """Tasks for a text assistant. Each has an instruction, an input that it is about, and \
constraints on the output, or "none".

"""
HEADS = re.compile(r"(?im)^[ \t]*input:"), re.compile(r"(?im)^[ \t]*constraints?:")
LABEL = re.compile(r"(?im)^[ \t]*(?:instruction|input|constraints?):")
COPIED = 0.7
"""ROUGE-L above which a task is one of those that were shown."""
NONE = {"none", "none.", "n/a", "-"}


class Task(TypedDict):
    """One of the tasks that people wrote."""

    instruction: str
    input: str
    constraints: NotRequired[str | None]


class TaskSet(TypedDict):
    """What it reads: three tasks that are always shown together."""

    examples: list[Task]


class Made(TypedDict):
    """What it writes."""

    instruction: str
    input: str | None
    output: str
    gen: Gen
    constraints: str | None
    """As the model wrote them; they stand at the end of the instruction, too."""
    taught_by: list[str]
    """The models that wrote the rows of the round before; none in the first round."""


class OpenOnly(RowStage):
    """Make `n` rows of a set in every round: one call for a task, one for its answer."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | NON_ANSWERS | {
        "no_marker", "template_leak", "copied_example", "answered"
    }  # fmt: skip

    n: int = Field(default=20, ge=1)
    """Tasks per set and round; their requests are one prompt."""
    asking: Sampling = Sampling(temperature=1.0, top_p=0.99, max_tokens=512, stop=("\nExample",))
    answering: Sampling = Sampling(temperature=0.0, max_tokens=1024)

    def needs(self) -> dict[str, Op]:
        """One open model continues the list as plain text, and answers."""
        return {"generator": "generate"}

    async def __call__(self, row: TaskSet, ctx: Context) -> list[Made | Drop]:
        """Ask for all tasks at once, and answer each."""
        shown, teachers = row["examples"], list[str]()
        if ctx.pool is not None and ctx.round:
            last = ctx.pool.filter(pc.equal(ctx.pool["round"], ctx.round - 1))
            models = pc.unique(pc.struct_field(last["gen"], "model").combine_chunks())
            teachers = sorted(filter(None, models.to_pylist()))
        branches = map(ctx.branch, range(self.n))
        return await asyncio.gather(*(self._one(shown, teachers, one) for one in branches))

    async def _one(self, shown: list[Task], teachers: list[str], ctx: Context) -> Made | Drop:
        reply = await complete(ctx.llm("generator"), request(shown), self.asking)
        if isinstance(reply, Drop):
            return reply
        if not (found := headed(reply.text, *HEADS)):
            return Drop("no_marker", reply.text)
        task, given, constraints = found
        if mark := LABEL.search("\n".join(found)):
            return Drop("template_leak", f"{mark[0]} {reply.text}")
        if not task or detectors.declines(task):
            return Drop("refusal" if task else "no_marker", reply.text)
        if said := detectors.answers(task):
            return Drop("answered", f"{said}: {task}")
        if any(rouge_l(f"{task} {given}", _whole(one)) > COPIED for one in shown):
            return Drop("copied_example", task)
        limits = None if constraints.casefold() in NONE else constraints
        instruction = f"{task}\n{limits}" if limits else task
        given_or_none = None if detectors.is_marker(given) or given.casefold() in NONE else given
        asked: list[Message] = [{"role": "user", "content": question(instruction, given_or_none)}]
        answer = await complete(ctx.llm("generator"), asked, self.answering)
        if isinstance(answer, Drop):
            return answer
        if code := non_answer(answer.text):
            return Drop(code, answer.text)
        return Made(
            instruction=instruction, input=given_or_none, output=answer.text.strip(),
            gen=answer.gen, constraints=limits, taught_by=teachers,
        )  # fmt: skip


def request(shown: list[Task]) -> str:
    """Return the list up to the task that the model goes on with."""
    text = HEADER
    for i, one in enumerate(shown, 1):
        limits = one.get("constraints") or "none"
        text += f"Example {i}\nInstruction: {one['instruction']}\nInput: {one['input']}\n"
        text += f"Constraints: {limits}\n\n"
    return f"{text}Example {len(shown) + 1}\nInstruction:"


def _whole(task: Task) -> str:
    return f"{task['instruction']} {task['input']}"
