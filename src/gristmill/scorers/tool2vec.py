"""Tool2Vec: whether a row's functions are found by what others ask of them, or by what they say.

Source: Moon et al., "Efficient and Scalable Estimation of Tool Representations in Vector Space",
arXiv:2409.02141: a tool is the mean of the embeddings of instructions that use it.
Differs from the paper: each row is held out of the vectors that it is ranked by; a tool with too
few other instructions keeps the vector of its description. `tool_refiner` learns more of the rows.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.engines.requests import Op
from gristmill.geometry.ranks import is_sufficient, places, recall
from gristmill.geometry.tool_vectors import Uses
from gristmill.geometry.vectors import Array, unit
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import TableStage, decisions
from gristmill.text.tool_calls import api_of

Row = TypedDict(
    "Row",
    {
        "instruction": str,
        "meta.tool_retrieval.functions": list[str],
        "meta.tool_retrieval.api": str,
    },
)


class Ranked(TypedDict):
    """What it writes: shares 0..1, higher is better; None for rows without functions."""

    recall: float
    """Of its functions among the first k of all, by instructions of other rows."""
    recall_by_description: float
    """The same by the descriptions alone."""
    sufficient: bool
    """Whether all of them are: the mean over the rows is Sufficiency@k."""
    by_use: int
    """Functions of the row that enough other rows use."""


class Tool2vec(TableStage):
    """Rank all functions for each row. O(n m d) for m functions."""

    k: int = Field(default=5, ge=1)
    m: int = Field(default=3, ge=1)
    """Other instructions that a function needs before they stand for it. Our choice."""

    def needs(self) -> dict[str, Op]:
        """A sentence encoder."""
        return {"embedder": "embed"}

    async def decide(
        self, table: Annotated[pa.Table, Row], ctx: Context
    ) -> Annotated[pa.Table, Ranked]:
        """(n, 4) -> (n, 8); a row without a request or functions has None everywhere."""
        rows = table.to_pylist()
        there = [j for j, row in enumerate(rows) if row["instruction"] and _functions(row)]
        found: list[Any] = [None] * len(rows)
        if there:
            ranked = await self._ranked([rows[j] for j in there], ctx)
            for j, one in zip(there, ranked, strict=True):
                found[j] = one
        arrays = {
            name: pa.array([one and one[name] for one in found], kind)
            for name, kind in self.writes().items()
        }
        return decisions(table, [True] * len(rows), "", **arrays)

    async def _ranked(self, rows: list[dict[str, Any]], ctx: Context) -> list[Any]:
        _, known = await self._known(rows, ctx)
        made = list[Ranked]()
        for j, mine in enumerate(known.asked):
            right = np.flatnonzero(known.uses[:, j]).tolist()
            vectors, is_known = known.without(j)
            found = places(mine, vectors, right)
            ranked = Ranked(
                recall=recall(found, self.k),
                recall_by_description=recall(places(mine, known.told, right), self.k),
                sufficient=is_sufficient(found, self.k),
                by_use=int(is_known[right].sum()),
            )
            made.append(ranked)
        return made

    async def _known(self, rows: list[dict[str, Any]], ctx: Context) -> tuple[list[str], Uses]:
        """Return the names of all functions, sorted, and who uses them."""
        about: dict[str, str] = {}
        for row in rows:
            for one in api_of(row["meta.tool_retrieval.api"])["endpoints"]:
                about.setdefault(one["name"], f"{one['name']}: {one['description']}")
            about |= {name: name for name in _functions(row) if name not in about}
        names = sorted(about)
        asked = await self._embed([row["instruction"] for row in rows], ctx)
        told = await self._embed([about[name] for name in names], ctx)
        used = [{*_functions(row)} for row in rows]
        uses = np.array([[name in some for some in used] for name in names], np.float32)
        return names, Uses(asked, told, uses, self.m)

    async def _embed(self, texts: list[str], ctx: Context) -> Array:
        """Return a row for each text, (n,) -> (n, d) of unit length."""
        llm = ctx.llm("embedder")
        found = await asyncio.gather(*(llm.embed(text) for text in texts))
        return unit(np.stack([one.values for one in found]))


def _functions(row: dict[str, Any]) -> list[str]:
    told = row["meta.tool_retrieval.functions"]
    return told if isinstance(told, list) else []
