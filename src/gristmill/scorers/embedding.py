"""Embed a row: the vector that selectors measure diversity with.

Source: Reimers and Gurevych, "Sentence-BERT", arXiv:1908.10084. Instruction, input and output
together are what Superfiltering.D (Li et al., arXiv:2402.00530, section 5) embeds.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.engines.requests import Op
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage
from gristmill.text.detectors import is_marker
from gristmill.text.turns import Turn


class Texts(TypedDict):
    """What it reads: the parts in `fields`."""

    instruction: NotRequired[str | None]
    input: NotRequired[str | None]
    output: NotRequired[str | None]
    messages: NotRequired[list[Turn] | None]


class Embedded(TypedDict):
    """What it writes; no vector for a row without text."""

    vector: Any
    """(d,) float32 of unit length, d is the embedder's."""
    cut: bool
    """Whether the embedder read only the beginning."""


class Embedding(RowStage):
    """Embed parts of the row, one per line; a conversation is embedded message by line."""

    fields: tuple[Literal["instruction", "input", "output"], ...] = Field(
        default=("instruction", "input", "output"), min_length=1
    )
    """Which parts. Of `messages`, output is what the assistant says, instruction the rest."""

    def writes(self) -> dict[str, pa.DataType]:
        """Vectors are stored in single precision."""
        return {"vector": pa.list_(pa.float32()), "cut": pa.bool_()}

    def needs(self) -> dict[str, Op]:
        """The embedder is a sentence encoder."""
        return {"embedder": "embed"}

    async def __call__(self, row: Texts, ctx: Context) -> Embedded:
        """Ask once; equal texts share the answer."""
        text = "\n".join(part for part in self._parts(row) if part and part.strip())
        if not text:
            return {"vector": None, "cut": False}
        found = await ctx.llm("embedder").embed(text)
        return {"vector": found.values, "cut": found.cut}

    def _parts(self, row: Texts) -> list[str | None]:
        if messages := row.get("messages"):
            sides = {True: "output" in self.fields, False: "instruction" in self.fields}
            return [m["content"] for m in messages if sides[m["role"] == "assistant"]]
        parts = [row.get(field) for field in self.fields]
        return [None if part and is_marker(part) else part for part in parts]
