"""TPTU-v2: requests planned as functions in their order, with demonstrations of what is alike.

Source: Kong et al., "TPTU-v2: Boosting Task Planning and Tool Usage of Large Language Model-based
Agents in Real-world Systems", arXiv:2311.11315: an API retriever, demonstrations of APIs that are
hard to distinguish, rows of tasks and calls in their order to tune on, single ones and several.
Differs from the paper: our own prompt, sizes and threshold; any sentence encoder; demonstrations
are the other rows, or descriptions where no row uses a function; a plan has no arguments.
"""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field

from gristmill.engines.requests import Message, Op, Sampling
from gristmill.geometry.ranks import most_alike
from gristmill.geometry.vectors import Array, unit
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, fill
from gristmill.pipelines.stage import Drop, TableStage
from gristmill.storage.rows import TEXT
from gristmill.text.contrasts import contrasting
from gristmill.text.simulated_api import Endpoint
from gristmill.text.tool_calls import api_of, documented

PLAN = """Divide a request into the tasks that it needs, in the order in which they have to be \
done, each for one of the functions below; some sound alike and do different things, see the \
examples. Reply with JSON alone: {{"tasks": [{{"task": "...", "function": "name"}}, ...]}}

### Functions
{functions}

### Examples
{examples}

### Request
{request}

### JSON"""
FUNCTIONS, API = "meta.tool_retrieval.functions", "meta.tool_retrieval.api"
Row = TypedDict("Row", {"instruction": str, FUNCTIONS: list[str], API: str})  # type: ignore[misc]


class Planned(TypedDict):
    """What it writes: the functions to choose from as `input`."""

    input: str
    output: str
    """The plan as JSON: tasks with a function each."""
    contrast: list[str]
    """The two of them that are most alike, and both shown in examples; none below the threshold."""


class Step(BaseModel):
    """One task."""

    task: str
    function: str


class Plan(BaseModel):
    """What the model writes."""

    tasks: list[Step]


class Tptu(TableStage):
    """Shortlist functions for each row, choose examples among the others, have it planned."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {
        "no_functions", "not_shortlisted", "other_functions"
    }  # fmt: skip

    k: int = Field(default=8, ge=2)
    """Functions on a shortlist; `n` examples stand behind them."""
    n: int = Field(default=4, ge=2)
    min_similarity: float = Field(default=0.7, ge=-1, le=1)
    """Cosine from which two functions are hard to distinguish."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=1024)

    def needs(self) -> dict[str, Op]:
        """One model plans, a sentence encoder searches."""
        return {"generator": "generate", "embedder": "embed"}

    async def decide(
        self, table: Annotated[pa.Table, Row], ctx: Context
    ) -> Annotated[pa.Table, Planned]:
        """(n, 4) -> (n, 7); a plan stays whose functions are those of the row."""
        given = table.to_pylist()
        is_whole = [bool(row["instruction"] and row[FUNCTIONS] and row[API]) for row in given]
        rows = [row for row, whole in zip(given, is_whole, strict=True) if whole]
        known = {one["name"]: one for row in rows for one in api_of(row[API])["endpoints"]}
        names = sorted(known)
        asked = await _embed([row["instruction"] for row in rows], ctx)
        told = await _embed([f"{name}: {known[name]['description']}" for name in names], ctx)
        made, uses = [], [row[FUNCTIONS] for row in rows]
        for j, row in enumerate(rows):
            order = np.argsort(-(told @ asked[j]), kind="stable")[: self.k].tolist()
            pair = [names[i] for i in most_alike(order, told, self.min_similarity)]
            near = [i for i in np.argsort(-(asked @ asked[j]), kind="stable").tolist() if i != j]
            shown = [
                (known[one]["description"], [one])
                if isinstance(one, str)
                else (rows[one]["instruction"], uses[one])
                for one in contrasting(near, uses, pair)[: self.n]
            ]
            short = [known[names[i]] for i in order]
            made.append(self._plan(row, short, shown, pair, ctx.branch(j)))
        planned = iter(await asyncio.gather(*made))
        found = [next(planned) if whole else Drop("no_functions") for whole in is_whole]
        ends = [one if isinstance(one, Drop) else None for one in found]
        plans = [None if isinstance(one, Drop) else one for one in found]
        decided = {
            "id": table["id"],
            "keep": pa.array([end is None for end in ends], pa.bool_()),
            "code": pa.array([end and end.code for end in ends], TEXT),
            "detail": pa.array([end and end.detail for end in ends], TEXT),
        }
        for name, kind in self.writes().items():
            decided[name] = pa.array([one and one[name] for one in plans], kind)  # type: ignore[literal-required]
        return pa.table(decided)

    async def _plan(
        self, row: Any, short: list[Endpoint], shown: list[Any], pair: list[str], ctx: Context
    ) -> Planned | Drop:
        wanted = {*row[FUNCTIONS]}
        if lost := sorted(wanted - {one["name"] for one in short}):
            return Drop("not_shortlisted", ", ".join(lost))
        functions = documented(short)
        examples = (json.dumps({"request": text, "functions": uses}) for text, uses in shown)
        told = {"examples": "\n".join(examples), "request": row["instruction"]}
        ask = Message(role="user", content=PLAN.format(functions=functions, **told))
        said = await fill(ctx.llm("generator"), [ask], self.sampling, Plan)
        if isinstance(said, Drop):
            return said
        if {one.function for one in said[0].tasks} != wanted:
            return Drop("other_functions", said[1].text)
        plan = json.dumps([one.model_dump() for one in said[0].tasks], ensure_ascii=False)
        return Planned(input=f"Functions:\n{functions}", output=plan, contrast=pair)


async def _embed(texts: list[str], ctx: Context) -> Array:
    """Return a row for each text, (n,) -> (n, d) of unit length."""
    found = await asyncio.gather(*map(ctx.llm("embedder").embed, texts))
    return unit(np.stack([one.values for one in found])) if found else np.zeros((0, 1), np.float32)
