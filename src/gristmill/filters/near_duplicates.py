"""Drop rows that share most of their word runs with an earlier row.

Source: Broder, "On the resemblance and containment of documents" (1997); SelfCodeAlign (Wei et
al., arXiv:2410.24198, section 2) removes at 5-grams, 250 permutations and a threshold of 0.7.
Differs from the paper: the sketches only propose, the true share decides, so no row leaves for a
collision; and the bands are chosen to miss at most one pair in a thousand, where the usual choice
misses half of those at the threshold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.pipelines.stage import TableStage, decisions
from gristmill.text.shingles import char_shingles, word_shingles
from gristmill.text.turns import parts

PERMUTATIONS = 250
SEED = 1
MISS_RATE = 0.001
"""Share of the pairs at the threshold that the bands may miss."""

Hashes = np.ndarray[Any, np.dtype[np.int64]]


class Nearest(TypedDict):
    """What it writes."""

    similarity: float | None
    """0..1: the largest share with a row that stays, of those at or above the threshold."""


class NearDuplicates(TableStage):
    """Keep the first of like rows in canonical order; the detail names it and their likeness.

    A row is compared with the rows that stay only, so a chain of small changes keeps its ends. Of a
    conversation with several questions, all that was said counts, not its first turn alone.
    """

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = frozenset({"near_duplicate"})

    fields: tuple[Literal["instruction", "input", "output"], ...] = Field(
        default=("instruction", "input"), min_length=1
    )
    """What is compared, as one text."""
    threshold: float = Field(default=0.7, gt=0, le=1)
    """Jaccard similarity (0..1) from which on two rows are duplicates."""
    ngram: int = Field(default=5, ge=1)
    """Length of a run."""
    unit: Literal["words", "chars"] = "words"
    """What a run is made of. Runs of characters find more in short texts, also what differs in
    a number only."""

    def reads(self) -> frozenset[str]:
        """The columns are a parameter."""
        return frozenset({*self.fields, "messages"})

    def optional(self) -> frozenset[str]:
        """A table need not have them all."""
        return frozenset({*self.fields[1:], "messages"})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Nearest]:
        """O(n) sketches, and a comparison per proposed pair."""
        from rensa import RMinHash, RMinHashLSH

        index = RMinHashLSH(self.threshold, PERMUTATIONS, bands(self.threshold))
        ids = table["id"].to_pylist()
        hashes: list[Hashes] = []
        nearest: list[tuple[float, int]] = []
        for place, text in enumerate(self._texts(table)):
            shingles = self._shingles(text)
            hashes.append(np.unique(np.fromiter(map(hash, shingles), np.int64, len(shingles))))
            sketch = RMinHash(PERMUTATIONS, SEED)
            sketch.update(shingles)
            # The first of equally near ones: the negative place breaks ties.
            found = [(_jaccard(hashes[i], hashes[place]), -i) for i in index.query(sketch)]
            near = max(found, default=(0.0, 0)) if shingles else (0.0, 0)
            nearest.append(near)
            if near[0] < self.threshold and shingles:
                index.insert(place, sketch)
            else:
                hashes[place] = hashes[place][:0]
        keep = [share < self.threshold for share, _ in nearest]
        detail = [f"{share:.2f} of {ids[-i]}" for share, i in nearest]
        similarity = [None if kept else near[0] for kept, near in zip(keep, nearest, strict=True)]
        return decisions(
            table, keep, "near_duplicate", detail, similarity=pa.array(similarity, pa.float64())
        )

    def _texts(self, table: pa.Table) -> Iterator[str]:
        for batch in table.to_batches(max_chunksize=1024):
            for row in batch.to_pylist():
                yield "\n".join(text for field in self.fields for text in parts(row, field))

    def _shingles(self, text: str) -> list[str]:
        cut = word_shingles if self.unit == "words" else char_shingles
        return list(dict.fromkeys(cut(text, self.ngram)))


def bands(threshold: float) -> int:
    """Return the fewest bands that propose a pair at the threshold often enough."""
    divisors = [n for n in range(1, PERMUTATIONS + 1) if PERMUTATIONS % n == 0]
    enough = (n for n in divisors if (1 - threshold ** (PERMUTATIONS // n)) ** n <= MISS_RATE)
    return next(enough, PERMUTATIONS)


def _jaccard(one: Hashes, other: Hashes) -> float:
    """Return the share of two sorted sets: exact but for a collision of 64 bits."""
    both = len(np.intersect1d(one, other, assume_unique=True))
    return both / (len(one) + len(other) - both)
