"""Drop rows that share most of their word runs with an earlier row, in every field compared.

Source: Broder, "On the resemblance and containment of documents" (1997); SelfCodeAlign (Wei et
al., arXiv:2410.24198, section 2) removes at 5-grams, 250 permutations and a threshold of 0.7.
Differs from the paper: the sketches only propose, the true share decides, so no row leaves for a
collision; the bands are chosen to miss at most one pair of texts in a thousand, where the usual
choice misses half of those at the threshold; and fields are compared one by one. In one text a
long input outweighs the instruction, so that all questions about a passage would be the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.formats.columns import as_text
from gristmill.pipelines.stage import TableStage, decisions
from gristmill.text.like_texts import LikeTexts, Text, nearest
from gristmill.text.shingles import char_shingles, word_shingles
from gristmill.text.turns import parts

SIDES = ("instruction", "input", "output")


class Nearest(TypedDict):
    """What it writes."""

    similarity: float | None
    """0..1: likeness to the nearest row that stays, of those at or above the threshold."""


class NearDuplicates(TableStage):
    """Keep the first of like rows in canonical order; the detail names it and their likeness.

    Two rows are as like as the field in which they are least alike, and a field that only one of
    them has tells them apart. A row is compared with the rows that stay only, so a chain of small
    changes keeps its ends. Of a conversation with several questions, all that was said counts, not
    its first turn alone.
    """

    version: ClassVar[int] = 3
    codes: ClassVar[frozenset[str]] = frozenset({"near_duplicate"})

    fields: tuple[str, ...] = Field(default=("instruction", "input"), min_length=1)
    """Columns, each compared with the same one of the other row; what is no text as JSON."""
    threshold: float = Field(default=0.7, gt=0, le=1)
    """Jaccard similarity (0..1) that every field of a duplicate has at least."""
    ngram: int = Field(default=5, ge=1)
    """Length of a run."""
    unit: Literal["words", "chars"] = "words"
    """What a run is made of. Runs of characters find more in short texts, also what differs in
    a number only."""

    def reads(self) -> frozenset[str]:
        """The columns are a parameter."""
        return frozenset({*self.fields, "messages"})

    def optional(self) -> frozenset[str]:
        """A table need not have every side of an exchange, but the first column and all others."""
        return frozenset({*self.fields[1:], "messages"}) & {*SIDES, "messages"}

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Nearest]:
        """O(n) sketches, and a comparison per proposed pair of distinct texts."""
        fields = [LikeTexts(self.threshold, self._shingles) for _ in self.fields]
        ids = table["id"].to_pylist()
        kept: dict[int, list[Text]] = {}
        found: list[tuple[float, int]] = []
        for place, row in enumerate(self._texts(table)):
            texts = [known.find(text) for known, text in zip(fields, row, strict=True)]
            found.append(nearest(fields, texts, kept))
            if not any(known.says(text) for known, text in zip(fields, texts, strict=True)):
                found[-1] = 0.0, 0
                continue
            if not found[-1][0]:
                kept[place] = texts
                for known, text in zip(fields, texts, strict=True):
                    known.add(text, place)
        keep = [not likeness for likeness, _ in found]
        detail = [f"{likeness:.2f} of {ids[place]}" for likeness, place in found]
        similarity = pa.array([likeness or None for likeness, _ in found], pa.float64())
        return decisions(table, keep, "near_duplicate", detail, similarity=similarity)

    def _texts(self, table: pa.Table) -> Iterator[list[str]]:
        for batch in table.to_batches(max_chunksize=1024):
            for row in batch.to_pylist():
                yield [
                    "\n".join(parts(row, name)) if name in SIDES else as_text(row[name]) or ""
                    for name in self.fields
                ]

    def _shingles(self, text: str) -> Iterator[str]:
        return (word_shingles if self.unit == "words" else char_shingles)(text, self.ngram)
