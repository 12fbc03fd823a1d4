"""Drop rows that say what a benchmark says in other words: their embeddings nearly agree.

Source: Yang et al., "Rethinking Benchmark and Contamination for Language Models with Rephrased
Samples", arXiv:2311.04850, sections 3 and 4: what runs of words miss, an embedding finds.
Differs from the paper: a limit decides, no language model after it, so that a question about the
same thing may go with those that were rephrased: look at the evidence before you drop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.engines.requests import Op
from gristmill.formats.protecting import WRITTEN, Protecting, protected
from gristmill.geometry.vectors import Array
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import TableStage, decisions
from gristmill.text.overlaps import CONTAMINATED, MIN_WORDS, Hit
from gristmill.text.turns import Texts, said
from gristmill.text.words import first_words

BLOCK = 1024
"""Rows embedded and compared together."""
Found = tuple[float, int]
"""Cosine and place of the nearest protected row."""


class SemanticContamination(Protecting, TableStage):
    """Compare every turn of a row with every question and written solution of the benchmarks.

    The detail names benchmark, row and cosine. Texts of fewer than eight words are not compared.
    O(n m d) for m protected texts.
    """

    codes: ClassVar[frozenset[str]] = frozenset({"contaminated"})

    threshold: float = Field(default=0.85, ge=-1, le=1)
    """Cosine from which on two texts say the same. Our choice for `minilm`: of 170 questions
    rephrased by rule 81 % are found and of 480 public rows one is; at 0.8 it is 89 % and three. See
    `benchmarks/contamination.py`."""

    def reads(self) -> frozenset[str]:
        """Everything that is said."""
        return frozenset(Texts.__annotations__)

    def optional(self) -> frozenset[str]:
        """A row need not have any of it."""
        return self.reads()

    def writes(self) -> dict[str, pa.DataType]:
        """Return its columns: none where it drops."""
        return WRITTEN if self.action == "flag" else {}

    def needs(self) -> dict[str, Op]:
        """The embedder is a sentence encoder."""
        return {"embedder": "embed"}

    async def decide(self, table: pa.Table, ctx: Context) -> Annotated[pa.Table, Any]:
        """One line per row; equal texts are embedded once."""
        rows = protected(self._file, self.pins)
        texts = [(i, text) for i, row in enumerate(rows) for text in (row.question, row.solution)
                 if not (row.is_code and text == row.solution)]  # fmt: skip
        places, known = await _embedded(texts, ctx)
        hits = list[Hit | None]()
        for batch in table.to_batches(max_chunksize=BLOCK):
            pairs = [(i, text) for i, row in enumerate(batch.to_pylist()) for text in said(row)]
            near = await _nearest(pairs, places, known, ctx)
            for i in range(len(batch)):
                cosine, place = near.get(i, (-1.0, 0))
                row = rows[place]
                hit = Hit(row.benchmark, row.id, "embedding", f"cosine {cosine:.3f}")
                hits.append(hit if cosine >= self.threshold else None)
        if self.action == "drop":
            return decisions(table, [not hit for hit in hits], "contaminated", [*map(str, hits)])
        before = [flags or [] for flags in table["flags"].to_pylist()]
        flags = [old + [CONTAMINATED] * bool(hit) for old, hit in zip(before, hits, strict=True)]
        columns = {"flags": flags, "hit": [hit and str(hit) for hit in hits]}
        written = {name: pa.array(columns[name], kind) for name, kind in WRITTEN.items()}
        return decisions(table, [True] * len(table), "contaminated", **written)


async def _nearest(
    pairs: Sequence[tuple[int, str]], places: Sequence[int], known: Array, ctx: Context
) -> dict[int, Found]:
    """Return the nearest protected text of every row that says something."""
    which, vectors = await _embedded(pairs, ctx)
    if not len(known) or not len(vectors):
        return {}
    like = vectors @ known.T
    best, nearest = like.argmax(axis=1), dict[int, Found]()
    for i, cosine, at in zip(which, like.max(axis=1).tolist(), best.tolist(), strict=True):
        nearest[i] = max(nearest.get(i, (-1.0, 0)), (cosine, places[at]))
    return nearest


async def _embedded(pairs: Iterable[tuple[int, str]], ctx: Context) -> tuple[list[int], Array]:
    """Return where the texts that are long enough come from, and their vectors, (m, d)."""
    long = [(i, text) for i, text in pairs if len(first_words(text, MIN_WORDS)) == MIN_WORDS]
    embed = ctx.llm("embedder").embed
    found = await asyncio.gather(*(embed(text) for _, text in long))
    vectors = np.array([vector.values for vector in found], np.float32)
    return [i for i, _ in long], vectors
