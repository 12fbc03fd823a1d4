"""Drop rows that have nothing to do with the passage of a reference text that is nearest to them.

Source: Lee et al., "Instruction Tuning with Human Curriculum", arXiv:2310.09518, section 3.3:
passages of Wikipedia of about 256 words, found by a dense retriever; a checker says whether
passage and row are related.
Differs from the paper: your own passages, any encoder, our own prompt, and one passage per row.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.engines.requests import Message, Op, Vector
from gristmill.formats.text_lines import Lines
from gristmill.geometry.vectors import Array, unit
from gristmill.geometry.walk import most_like
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import judge
from gristmill.pipelines.stage import Drop, TableStage
from gristmill.storage.rows import TEXT
from gristmill.text.turns import question

PROMPT = """Is a question, with its answer, about something that the passage is about, or that is \
connected with it? Reply with one word: related or unrelated.

### Passage
{passage}

### Question
{asked}

### Answer
{answer}

### Related or unrelated"""


class Nearest(TypedDict):
    """What it writes."""

    passage: int
    """Number of the passage, from 0."""
    similarity: float
    """Cosine, -1..1, of the row and the passage."""


class RelatedPassage(TableStage):
    """Find each row's passage, then ask whether they are related. O(n m d) for m passages."""

    codes: ClassVar[frozenset[str]] = frozenset({"unrelated", "unparsed_judge"})

    passages: Lines = Field(min_length=1)
    """Texts of about 256 words, or the path of a file with one on each line."""

    def reads(self) -> frozenset[str]:
        """One exchange."""
        return frozenset({"instruction", "input", "output"})

    def optional(self) -> frozenset[str]:
        """A row need not have an input."""
        return frozenset({"input"})

    def needs(self) -> dict[str, Op]:
        """The embedder finds the passage, the judge compares."""
        return {"embedder": "embed", "judge": "generate"}

    async def decide(self, table: pa.Table, ctx: Context) -> Annotated[pa.Table, Nearest]:
        """(n, 4) -> (n, 6); a reply that is neither word is a code of its own."""
        rows = table.to_pylist()
        asked = [question(row["instruction"], row["input"]) for row in rows]
        texts = [f"{one}\n{row['output']}" for one, row in zip(asked, rows, strict=True)]
        points = await self._embed([*self.passages, *texts], ctx)
        m = len(self.passages)
        similarity, places = most_like(points[m:], points[:m])
        pairs = zip(asked, rows, places.tolist(), strict=True)
        asks = (
            self._judge(one, row["output"] or "", self.passages[place], ctx.branch(i))
            for i, (one, row, place) in enumerate(pairs)
        )
        drops = await asyncio.gather(*asks)
        return pa.table(
            {
                "id": table["id"],
                "keep": pa.array([not drop for drop in drops], pa.bool_()),
                "code": pa.array([drop and drop.code for drop in drops], TEXT),
                "detail": pa.array([drop and drop.detail for drop in drops], TEXT),
                "passage": pa.array(places.tolist(), pa.int64()),
                "similarity": pa.array(similarity.tolist(), pa.float64()),
            }
        )

    async def _embed(self, texts: list[str], ctx: Context) -> Array:
        llm = ctx.llm("embedder")
        found: list[Vector] = await asyncio.gather(*(llm.embed(text) for text in texts))
        return unit(np.stack([one.values for one in found]).astype(np.float32))

    async def _judge(self, asked: str, answer: str, passage: str, ctx: Context) -> Drop | None:
        text = PROMPT.format(passage=passage, asked=asked, answer=answer)
        ask: list[Message] = [{"role": "user", "content": text}]
        said: Any = await judge(ctx.llm("judge"), ask, {"related", "unrelated"})
        if isinstance(said, Drop):
            return Drop("unparsed_judge", f"{said.code}: {said.detail}")
        return Drop("unrelated", passage[:80]) if said == "unrelated" else None
