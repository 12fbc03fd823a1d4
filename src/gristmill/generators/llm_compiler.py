"""LLMCompiler: a plan of calls that depend on each other, run in parallel, joined to an answer.

Source: Kim et al., "An LLM Compiler for Parallel Function Calling", arXiv:2312.04511, section 3
(planner, executor, joiner, replanning); `SqueezeAILab/LLMCompiler` (MIT). The rows are ours: each
turn makes all calls at once that need no result of each other.
Differs from the paper: our own prompts; arguments are JSON (`text.call_plans`); APIs are simulated
unless a server answers; what refers to what is not there is not called, and the joiner is told.
"""

from __future__ import annotations

import json
from typing import ClassVar, Literal, TypedDict

from pydantic import BaseModel, Field

from gristmill.engines.calling import LOST, Answered
from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.errors import ToolFailed
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete, fill
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.call_plans import Progress, Task, read_plan
from gristmill.text.tool_calls import ToolTurn, api_of, documented, said, tools_of

PLAN = """Plan calls of functions that find out, or do, what a request asks for. Write one task on \
a line: a number, a function, its arguments as one JSON object. "$1" stands for the result of task \
1, "$1.0.id" for the id of the first thing in it; a dollar sign is "$$". A task refers to earlier \
tasks only, and only where it needs their results: all others run at the same time. The last task \
is join(). For example:
1. find_city({{"name": "Ulm"}})
2. find_city({{"name": "Bonn"}})
3. distance({{"from": "$1.id", "to": "$2.id"}})
4. join()

### Functions
{functions}

### Request
{request}
{before}
### Plan"""
BEFORE = """
### What was done before, with results; go on with task {next}
{done}
"""
JOIN = """Functions were called for a request. Where the results say all that it asks for, answer \
it: "action": "finish", and as "answer" the text that the user reads. Where something is missing \
that more calls could find: "action": "replan". Reply with JSON alone: {{"thought": "...", \
"action": "finish" or "replan", "answer": "..."}}

### Request
{request}

### Calls and results
{done}

### JSON"""
Row = TypedDict("Row", {"instruction": str, "meta.tool_llm.api": str})


class Planned(TypedDict):
    """One task of a plan."""

    id: int
    name: str
    arguments: str
    """JSON; with references."""
    depends_on: list[int]


class Compiled(TypedDict):
    """What it writes: the conversation, and the plans behind it."""

    messages: list[ToolTurn]
    output: str
    tools: str
    """The functions as chat templates take them, as JSON."""
    plan: list[Planned]
    replans: int
    depth: int
    """Turns that call: the longest way through the plans."""
    gen: Gen


class Joined(BaseModel):
    """What the joiner says."""

    thought: str = ""
    action: Literal["finish", "replan"]
    answer: str = ""


class LlmCompiler(Answered, RowStage):
    """Plan, run, join; where something is missing, plan again."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | LOST | {"bad_plan", "not_finished", "no_call"}

    max_replans: int = Field(default=2, ge=0)
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=1024)

    def needs(self) -> dict[str, Op]:
        """One model plans and joins: two calls a round."""
        return {"generator": "generate", **self.tools()}

    async def __call__(self, row: Row, ctx: Context) -> Compiled | Drop:
        """Go on until the joiner is content."""
        api, request = api_of(row["meta.tool_llm.api"]), row["instruction"]
        llm, functions = ctx.llm("generator"), documented(api["endpoints"])
        known, done = {one["name"] for one in api["endpoints"]}, Progress(self.answering(api, ctx))
        for replans in range(self.max_replans + 1):
            told, first = "\n".join(done.told), len(done.tasks) + 1
            before = BEFORE.format(next=first, done=told) if replans else ""
            prompt = PLAN.format(functions=functions, request=request, before=before)
            reply = await complete(llm, _ask(prompt), self.sampling)
            if isinstance(reply, Drop):
                return reply
            tasks = read_plan(reply.text, first)
            if isinstance(tasks, str) or not {task.call["name"] for task in tasks} <= known:
                wrong = tasks if isinstance(tasks, str) else "a function that there is not"
                return Drop("bad_plan", f"{wrong}: {reply.text}")
            try:
                await done.run(tasks)
            except ToolFailed as error:
                return Drop(*error.args)
            prompt = JOIN.format(request=request, done="\n".join(done.told))
            joined = await fill(llm, _ask(prompt), self.sampling, Joined)
            if isinstance(joined, Drop):
                return joined
            if (answer := joined[0].answer.strip()) and joined[0].action == "finish":
                break
        else:
            return Drop("not_finished", f"{replans} replans: {prompt}")
        if not done.depth:
            return Drop("no_call", answer)
        return Compiled(
            messages=[said("user", request), *done.turns, said("assistant", answer)],
            output=answer, tools=tools_of(api["endpoints"]), replans=replans, depth=done.depth,
            plan=[_planned(task) for task in done.tasks], gen=joined[1].gen,
        )  # fmt: skip


def _ask(prompt: str) -> list[Message]:
    return [{"role": "user", "content": prompt}]


def _planned(task: Task) -> Planned:
    arguments = json.dumps(task.call["arguments"], ensure_ascii=False)
    name, needed = task.call["name"], task.depends_on
    return Planned(id=task.id, name=name, arguments=arguments, depends_on=needed)
