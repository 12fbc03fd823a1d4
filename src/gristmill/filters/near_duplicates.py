"""Drop rows that share most of their word runs with another row, in every field compared.

Source: Broder, "On the resemblance and containment of documents" (1997); SelfCodeAlign (Wei et
al., arXiv:2410.24198, section 2) removes at 5-grams, 250 permutations and a threshold of 0.7.
Differs from the paper: the sketches only propose, the true share decides, so no row leaves for a
collision; the bands are chosen to miss at most one pair of texts in a thousand, where the usual
choice misses half of those at the threshold; and fields are compared one by one. In one text a
long input outweighs the instruction, so that all questions about a passage would be the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, compress
from typing import Annotated, Any, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.formats.columns import as_text
from gristmill.formats.others import Against, Others
from gristmill.geometry.picks import ranked
from gristmill.pipelines.stage import TableStage, decisions
from gristmill.storage.rows import Row
from gristmill.text.like_texts import LikeTexts, Text, maybe_alike, nearest
from gristmill.text.shingles import Places, Shingles, Unit, shingles
from gristmill.text.turns import parts

SIDES = ("instruction", "input", "output")


class Nearest(TypedDict):
    """What it writes."""

    similarity: float | None
    """0..1: likeness to the nearest row that stays, of those at or above the threshold."""


class NearDuplicates(Against, TableStage):
    """Keep the best of like rows, else the first; the detail names it and their likeness.

    Two rows are as like as the field in which they are least alike, and a field that only one of
    them has tells them apart. A row is compared with the better rows that stay only, so a chain of
    small changes keeps its ends. Of a conversation with several questions, all that was said
    counts, not its first turn alone.
    """

    version: ClassVar[int] = 4
    codes: ClassVar[frozenset[str]] = frozenset({"near_duplicate"})

    fields: tuple[str, ...] = Field(default=("instruction", "input"), min_length=1)
    """Columns, each compared with the same one of the other row; what is no text as JSON."""
    threshold: float = Field(default=0.7, gt=0, le=1)
    """Jaccard similarity (0..1) that every field of a duplicate has at least."""
    ngram: int = Field(default=5, ge=1)
    """Length of a run."""
    unit: Unit = "words"
    """What a run is made of. Runs of characters find more in short texts, also what differs in
    a number only."""
    best: str | None = Field(default=None, pattern=r"^\w+(\.\w+)*$")
    """Column of a number, higher is better; rows without one come last. None, and among equals:
    the first in canonical order stays. A row of another dataset stays whatever its score."""

    def reads(self) -> frozenset[str]:
        """The columns are parameters."""
        return frozenset({*self.fields, "messages"}) | ({self.best} if self.best else set())

    def optional(self) -> frozenset[str]:
        """A table need not have every side of an exchange, but the first column and all others."""
        return frozenset({*self.fields[1:], "messages"}) & {*SIDES, "messages"}

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Nearest]:
        """O(n) sketches, and a comparison per proposed pair.

        Of a row of 80 words 1.2 KB are in memory, 600 bytes in a temporary file.
        """
        known, n = self.known({*self.fields} - self.optional()), len(table)
        order = ranked(table[self.best], np.arange(n)) if self.best else np.arange(n)
        found = self._walk(known, table.take(order) if self.best else table)
        place_of = np.empty(n, np.int64)
        place_of[order] = np.arange(n)
        mine = [found[len(known.rows) + place] for place in place_of.tolist()]
        names = [*known.names, *table["id"].take(order).to_pylist()]
        keep = [not likeness for likeness, _ in mine]
        detail = [f"{like:.2f} of {names[place]}" if like else "" for like, place in mine]
        similarity = pa.array([likeness or None for likeness, _ in mine], pa.float64())
        return decisions(table, keep, "near_duplicate", detail, similarity=similarity)

    def _walk(self, known: Others, table: pa.Table) -> list[tuple[float, int]]:
        """Return likeness and place of the row for which each leaves, those known in front."""
        left, cut = self._left(known.rows, table)
        fields = [LikeTexts(self.threshold, texts) for texts in cut]
        found, kept = [(0.0, 0)] * (len(known.rows) + len(table)), dict[int, list[Text]]()
        for i, place in enumerate(left.tolist()):
            texts = [field[i] for field in fields]
            if not any(len(text.hashes) for text in texts):
                continue
            if place >= len(known.rows):
                found[place] = nearest(fields, texts, kept)
            if not found[place][0]:
                kept[place] = texts
                for field, text in zip(fields, texts, strict=True):
                    field.add(text, place)
        return found

    def _left(self, known: Sequence[Row], table: pa.Table) -> tuple[Places, list[Shingles]]:
        """Return the rows that in every field another may be like, and what each field has."""
        left, cut = np.arange(len(known) + len(table)), list[Shingles]()
        for name in self.fields:
            is_left = np.zeros(len(known) + len(table), bool)
            is_left[left] = True
            of_known = (_text(row.get(name), row.get("messages"), name) for row in known)
            texts = compress(chain(of_known, _texts(table, name)), is_left.tolist())
            cut.append(shingles(texts, self.unit, self.ngram))
            maybe = np.flatnonzero(maybe_alike(cut[-1], self.threshold))
            left, cut = left[maybe], [found.only(maybe) for found in cut]
        return left, cut


def _texts(table: pa.Table, name: str) -> Iterator[str]:
    for batch in table.select([name, "messages"]).to_batches(max_chunksize=1024):
        for value, said in zip(batch[0].to_pylist(), batch[1].to_pylist(), strict=True):
            yield _text(value, said, name)


def _text(value: Any, messages: Any, name: str) -> str:
    if name not in SIDES or not (value or messages):
        return as_text(value) or ""
    return "\n".join(parts({name: value, "messages": messages}, name))
