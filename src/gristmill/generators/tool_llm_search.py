"""ToolLLM, second half: search for calls that answer a request, and tell the way that did.

Source: Qin et al., "ToolLLM: Facilitating Large Language Models to Master 16000+ Real-world APIs",
arXiv:2307.16789, section 2.3 (DFSDT); `OpenBMB/ToolBench` (Apache-2.0): 2 children, 12 nodes deep,
200 calls, one answer. `verifiers.tool_eval` judges, `verifiers.tool_calls` calls again.
Differs from the paper: our own prompt; a simulated API answers, unless a server does, in a world of
each branch; steps are JSON; see also `text.dfsdt`. A row is a conversation, not a step; no
retriever is tuned: `tool_retrieval` has rows for one.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, TypedDict

from pydantic import BaseModel, Field, field_validator

from gristmill.engines.calling import LOST, Answered
from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.engines.schemas import read
from gristmill.errors import ToolFailed
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.dfsdt import FINISH, UNREADABLE, Node, Search, conversation, stepped
from gristmill.text.simulated_api import Call
from gristmill.text.tool_calls import ToolTurn, api_of, documented, tools_of
from gristmill.text.turns import user

RULES = """Do what a user asks for by calling functions, one at a time: what each answers is shown \
to you. Think in a sentence or two, then call one, as JSON alone: {{"thought": "...", "name": \
"...", "arguments": {{...}}}}. In the end call Finish: with "return_type": "give_answer" and \
"final_answer", the only text that the user reads, so it says all that was asked for; or with \
"return_type": "give_up_and_restart" where this way leads nowhere.

### Functions
{functions}
{{"name": "Finish", "parameters": {finish}}}"""
ELSE = """

From here you have tried this before. Do something else now:
{tried}"""
MAX_TRIED = 200
"""Characters that tell what came of a step tried before."""
Row = TypedDict("Row", {"instruction": str, "meta.tool_llm.api": str})


class Trace(TypedDict):
    """What it writes: the conversation of one answer."""

    messages: list[ToolTurn]
    output: str
    tools: str
    """The functions as chat templates take them, as JSON."""
    tree: str
    """All that was tried, as JSON."""
    steps: int
    """Calls in the conversation."""
    calls: int
    """Calls of the model in the search."""
    gen: Gen


class Step(BaseModel):
    """A step as the model writes it."""

    thought: str = ""
    name: str
    arguments: dict[str, Any] = {}

    @field_validator("arguments")
    @classmethod
    def _is_json(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        """Refuse numbers that are none."""
        json.dumps(arguments, allow_nan=False)
        return arguments


class ToolLlmSearch(Answered, RowStage):
    """Make a row of every answer that is found."""

    codes: ClassVar[frozenset[str]] = (
        REPLY_CODES | LOST | {"gave_up", "no_answer", "max_calls", "no_call"}
    )

    width: int = Field(default=2, ge=1)
    """Children of a node; 1 is the chain of thought that the paper compares with."""
    max_depth: int = Field(default=12, ge=1)
    """Nodes: two for a step, three for one with a thought."""
    max_calls: int = Field(default=200, ge=1)
    answers: int = Field(default=1, ge=1)
    """Where it stops; more of them are rows of one parent, for `scorers.tool_win`."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=1024)

    def needs(self) -> dict[str, Op]:
        """One role where the API is simulated."""
        return {"generator": "generate", **self.tools()}

    async def __call__(self, row: Row, ctx: Context) -> list[Trace | Drop]:
        """Search, and tell each way that ends with an answer."""
        api, lost, gens = api_of(row["meta.tool_llm.api"]), list[Drop](), dict[Node, Gen]()
        answer, root = self.answering(api, ctx), Node()
        rules = RULES.format(functions=documented(api["endpoints"]), finish=json.dumps(FINISH))

        async def expand(node: Node) -> Node:
            prompt = _prompt(rules, row["instruction"], node)
            reply = await complete(ctx.llm("generator"), prompt, self.sampling, Step)
            if isinstance(reply, Drop):
                lost.append(reply)
                return Node(node, seen=reply.code, code=UNREADABLE)
            step = read(reply.text, Step)
            if isinstance(step, str):
                return Node(node, seen=step, code=UNREADABLE)
            call = Call(name=step.name, arguments=step.arguments)
            gens[made := await stepped(answer, node, step.thought.strip(), call)] = reply.gen
            return made

        search = Search(expand, self.width, self.max_depth, self.max_calls, self.answers)
        try:
            await search.descend(root)
        except ToolFailed as error:
            return [Drop(*error.args)]
        tree = json.dumps(root.told(), ensure_ascii=False)
        if not search.found and len(lost) == search.calls:
            return [lost[-1]]
        if not search.found:
            code = "gave_up" if search.given_up else "no_answer"
            code = "max_calls" if search.calls >= self.max_calls else code
            return [Drop(code, f"{search.calls} calls: {tree}")]
        found = list[Trace | Drop]()
        for end in search.found:
            turns, steps = conversation(row["instruction"], end), len(end.path) - 1
            trace = Trace(
                messages=turns, output=turns[-1]["content"], tools=tools_of(api["endpoints"]),
                tree=tree, steps=steps, calls=search.calls, gen=gens[end],
            )  # fmt: skip
            found.append(trace if steps else Drop("no_call", trace["output"]))
        return found


def _prompt(rules: str, instruction: str, node: Node) -> list[Message]:
    """Return the way so far, and last what was tried from here: siblings share all but that."""
    turns = [Message(role="system", content=rules), user(instruction)]
    for one in node.path:
        step = {"thought": one.thought, **one.call}
        turns.append({"role": "assistant", "content": json.dumps(step, ensure_ascii=False)})
        turns.append({"role": "user", "content": f"Observation: {one.seen}"})
    if tried := [f"- {json.dumps(one.call)}: {one.seen[:MAX_TRIED]}" for one in node.children]:
        turns[-1]["content"] += ELSE.format(tried="\n".join(tried))
    return turns
