"""ToolBank: instructions that need some of many functions, for retrievers of tools.

Source: Moon et al., "Efficient and Scalable Estimation of Tool Representations in Vector Space",
arXiv:2409.02141 (ToolBank); `SqueezeAILab/Tool2Vec` (MIT): 10 functions and 3 examples a
prompt, temperature 0.9, then a polisher. `scorers.tool2vec` and `generators.qta` go on.
Differs from the paper: our own prompts; functions that were used less are drawn more often, and the
pool of examples is the row's own, so that popular tools do not make themselves more popular.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import ClassVar, TypedDict

from pydantic import BaseModel, Field

from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.formats.api_collections import Apis
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, fill
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.simulated_api import Api, Endpoint
from gristmill.text.tool_calls import documented
from gristmill.text.turns import user

WRITE = """Write one instruction to an assistant that needs one of the functions below, or up to \
four that go well together, and no other. It names all values that they need. Reply with JSON \
alone: {{"instruction": "...", "functions": ["name", ...], "explanation": "why these"}}

### Examples
{examples}

### Functions
{functions}

### JSON"""
POLISH = """Rewrite an instruction so that a person could have said it: plain and short, without \
conditions, no name of a function, every value kept. Reply with JSON alone: {{"reasoning": "...", \
"instruction": "..."}}

### Functions that it needs
{functions}

### Instruction
{instruction}

### JSON"""
EXAMPLES = (
    """{"instruction": "Find the cheapest flight to Oslo on 3 May and put it into my calendar.", \
"functions": ["find_flights", "add_event"], "explanation": "The flight gives the time."}""",
    """{"instruction": "Translate my last note into French and send it to Ana.", \
"functions": ["last_note", "translate", "send_message"], "explanation": "One feeds the next."}""",
    """{"instruction": "Dim the lights in the hall to 20.", "functions": ["set_light"], \
"explanation": "It sets lights."}""",
)


class Described(TypedDict):
    """What it reads: a row of `seeds.use: openapi`."""

    tool: str
    api: str


class Instructed(TypedDict):
    """What it writes."""

    instruction: str
    draft: str
    """As it was before the polish."""
    functions: list[str]
    explanation: str
    api: str
    """The functions drawn, as JSON that `text.simulated_api` answers by."""
    gen: Gen


class Polished(BaseModel):
    """What the model makes of a draft."""

    instruction: str = Field(pattern=r"\S")


class Draft(Polished):
    """What it writes first."""

    functions: list[str] = Field(min_length=1)
    explanation: str = ""


class ToolRetrieval(Apis, RowStage):
    """Write `n` instructions one after the other, for functions of the row and of `apis`."""

    version: ClassVar[int] = 3
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"foreign_function", "names_function"}

    n: int = Field(default=10, ge=1)
    n_functions: int = Field(default=10, ge=1)
    """Drawn for each instruction."""
    sampling: Sampling = Sampling(temperature=0.9)

    def needs(self) -> dict[str, Op]:
        """One model writes and polishes: two calls a row."""
        return {"generator": "generate"}

    async def __call__(self, row: Described, ctx: Context) -> list[Instructed | Drop]:
        """Draw what was used least, write, and show what was written to the next."""
        known = self.functions(row["api"])
        used, pool, made = Counter[str](), list(EXAMPLES), list[Instructed | Drop]()
        for _ in range(self.n):
            # Efraimidis and Spirakis: a draw without putting back, by weights 1 / (1 + uses).
            order = sorted(known, key=lambda name: -(ctx.rng.random() ** (1 + used[name])))
            drawn = [known[name] for name in order[: self.n_functions]]
            found = await self.write(drawn, ctx.rng.sample(pool, len(EXAMPLES)), ctx)
            made.append(found)
            if not isinstance(found, Drop):
                used.update(found["functions"])
                pool.append(_example(found))
        return made

    async def write(
        self, drawn: list[Endpoint], examples: list[str], ctx: Context
    ) -> Instructed | Drop:
        """Two calls."""
        prompt = WRITE.format(examples="\n".join(examples), functions=documented(drawn))
        draft = await fill(ctx.llm("generator"), [user(prompt)], self.sampling, Draft)
        if isinstance(draft, Drop):
            return draft
        names = list(dict.fromkeys(draft[0].functions))
        if foreign := [name for name in names if name not in {one["name"] for one in drawn}]:
            return Drop("foreign_function", f"{', '.join(foreign)}: {draft[0].instruction}")
        needed = documented(one for one in drawn if one["name"] in names)
        prompt = POLISH.format(functions=needed, instruction=draft[0].instruction)
        said = await fill(ctx.llm("generator"), [user(prompt)], self.sampling, Polished)
        if isinstance(said, Drop):
            return said
        text = said[0].instruction.strip()
        if named := [one["name"] for one in drawn if one["name"] in text]:
            return Drop("names_function", f"{named[0]}: {text}")
        api = json.dumps(Api(world=0, endpoints=drawn), ensure_ascii=False)
        return Instructed(
            instruction=text, draft=draft[0].instruction, functions=names, api=api,
            explanation=draft[0].explanation, gen=said[1].gen,
        )  # fmt: skip


def _example(made: Instructed) -> str:
    told = {name: made[name] for name in ("instruction", "functions", "explanation")}
    return json.dumps(told, ensure_ascii=False)
