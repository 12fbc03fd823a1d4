"""ToolLLM, first half: requests that need some functions of one API, or of several.

Source: Qin et al., "ToolLLM: Facilitating Large Language Models to Master 16000+ Real-world APIs",
arXiv:2307.16789, section 2.2; `OpenBMB/ToolBench` (Apache-2.0). I1: one API. I2: 2 to 5 APIs of one
category, at most 3 functions of each. I3: the same of one collection. `tool_llm_search` goes on.
Differs from the paper: our own prompt, with examples of ours; it also shows what a simulated API
answers now, so that requests name things that are there; APIs are files (`seeds.use: openapi`).
"""

from __future__ import annotations

import asyncio
import json
from typing import ClassVar, Literal, TypedDict

from pydantic import BaseModel, Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.formats.api_collections import Apis
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, fill
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.simulated_api import Api, Endpoint
from gristmill.text.tool_calls import api_of, documented, glance

ASK = """Write requests that a person might make of an assistant who can call functions. Each \
needs some of the functions below, in an order that makes sense, and says everything that their \
arguments need and nobody else can know. Names of functions stand in no request. Requests differ \
in what they need and in how they are said. Reply with JSON alone: {{"requests": [{{"request": \
"...", "functions": ["name", ...]}}, ...]}}

For functions that list, book and cancel tables, two might be: {{"request": "My parents visit on \
the 3rd. Is there a table for four at Luigi's around seven? If so, take it under Meier.", \
"functions": ["list_tables", "book_table"]}}, {{"request": "I can't make it tonight, please cancel \
booking 881.", "functions": ["cancel_booking"]}}

### Number
{n}

### Functions
{functions}

### What some of them answer now
{answers}

### JSON"""
Group = Literal["I1", "I2", "I3"]


class Described(TypedDict):
    """What it reads: a row of `seeds.use: openapi`."""

    tool: str
    category: str
    api: str


class Query(TypedDict):
    """What it writes."""

    instruction: str
    api: str
    """The functions drawn, as JSON that `text.simulated_api` answers by."""
    relevant: list[str]
    """Functions that the request was written for."""
    group: str
    gen: Gen


class Request(BaseModel):
    """One request as the model writes it."""

    request: str = Field(pattern=r"\S")
    functions: list[str] = Field(min_length=1)


class Requests(BaseModel):
    """What the model writes."""

    requests: list[Request]


class ToolLlm(Apis, RowStage):
    """Draw functions, for each group once, and have requests written that need them."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"foreign_function", "no_companion", "repeated"}

    groups: tuple[Group, ...] = Field(default=("I1",), min_length=1)
    """I2 and I3 need `apis`: they join the row's."""
    n: int = Field(default=10, ge=1)
    """Requests asked for at once."""
    max_functions: int = Field(default=10, ge=1)
    """Drawn of the API in I1."""
    tools: tuple[int, int] = (2, 5)
    """Least and most APIs in I2 and I3, with at most `per_tool` functions of each."""
    per_tool: int = Field(default=3, ge=1)
    world: int = 0
    """Number of the data behind the simulated APIs."""
    sampling: Sampling = Sampling(temperature=1.0, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """One role."""
        return {"generator": "generate"}

    async def __call__(self, row: Described, ctx: Context) -> list[Query | Drop]:
        """One call per group, in a branch of its own."""
        asks = (self.write(row, group, ctx.branch(i)) for i, group in enumerate(self.groups))
        return [one for some in await asyncio.gather(*asks) for one in some]

    async def write(self, row: Described, group: Group, ctx: Context) -> list[Query | Drop]:
        """Draw, ask, and keep what needs nothing but the functions drawn."""
        drawn = self._draw(row, group, ctx)
        if not drawn:
            return [Drop("no_companion", f"{group}: no other API beside {row['tool']}")]
        api = Api(world=self.world, endpoints=drawn)
        told = json.dumps(api, ensure_ascii=False)
        prompt = ASK.format(n=self.n, functions=documented(drawn), answers=glance(api))
        ask: list[Message] = [{"role": "user", "content": prompt}]
        said = await fill(ctx.llm("generator"), ask, self.sampling, Requests)
        if isinstance(said, Drop):
            return [said]
        names, seen, made = {one["name"] for one in drawn}, set[str](), list[Query | Drop]()
        for one in said[0].requests:
            text, relevant = one.request.strip(), list(dict.fromkeys(one.functions))
            if foreign := [name for name in relevant if name not in names]:
                made.append(Drop("foreign_function", f"{', '.join(foreign)}: {text}"))
                continue
            query = Query(
                instruction=text, api=told, relevant=relevant, group=group, gen=said[1].gen
            )
            made.append(Drop("repeated", text) if text in seen else query)
            seen.add(text)
        return made or [Drop("empty", "no request")]

    def _draw(self, row: Described, group: Group, ctx: Context) -> list[Endpoint]:
        """Return functions of different names; none where a group cannot be made."""
        own = api_of(row["api"])["endpoints"]
        if group == "I1":
            return ctx.rng.sample(own, min(len(own), self.max_functions))
        others = [
            one
            for one in self.collection()
            if one["tool"] != row["tool"] and (group == "I3" or one["category"] == row["category"])
        ]
        if len(others) + 1 < self.tools[0]:
            return []
        n = ctx.rng.randint(self.tools[0], min(self.tools[1], len(others) + 1))
        lists = [own, *(api_of(one["api"])["endpoints"] for one in ctx.rng.sample(others, n - 1))]
        some = (ctx.rng.sample(one, min(len(one), self.per_tool)) for one in lists)
        return list({one["name"]: one for functions in some for one in functions}.values())
