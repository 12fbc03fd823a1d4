"""Keep rounds from collapsing: what is made from what was made grows alike.

Source: Shumailov et al., "The Curse of Recursion", arXiv:2305.17493, for the failure; the measures
are our own: how far rows are from their nearest neighbour, and how evenly first words are spread,
as Wang et al., "Self-Instruct", arXiv:2212.10560, section 3.1, look at root verbs.
Differs from the paper: the first word stands for the verb, which it mostly is in an instruction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import log2
from typing import Annotated, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from gristmill.geometry.knn import knn
from gristmill.geometry.vectors import Array, located, unit, vectors
from gristmill.geometry.walk import walk
from gristmill.pipelines.stage import VectorStage, decisions
from gristmill.text.words import first_words


class Crowd(TypedDict):
    """What it writes."""

    distance: float | None
    """0..1: 1 - cosine to the nearest other row of the round."""


class Collapse(VectorStage):
    """Compare a round with the one before it; in the first, every row stays.

    Where the median distance to the nearest row has fallen too far, rows leave that are closer
    than that to a row that stays. Where the entropy of first words has, rows leave whose word
    begins more than any word did; few rows are compared with what so few can have. The detail says
    what fell, from where to where. Equal vectors and equal instructions count once: a task may have
    several rows. O(n^2 d).
    """

    version: ClassVar[int] = 4

    codes: ClassVar[frozenset[str]] = frozenset({"collapsed"})
    pools: ClassVar[bool] = True

    max_fall: float = Field(default=0.2, ge=0, le=1)
    """Share (0..1) of the round before by which median and entropy may fall. Our choice."""

    def reads(self) -> frozenset[str]:
        """Vectors and instructions."""
        return super().reads() | {"instruction"}

    def decide(self, table: pa.Table, pool: pa.Table | None = None) -> Annotated[pa.Table, Crowd]:
        """(n, 3) -> (n, 5)."""
        points, order = located(table, self.column)
        points = unit(points)
        near = np.full(len(table), np.nan)
        near[order] = _distances(points)
        why: dict[int, str] = {}
        if pool is not None and len(pool):
            last = pool.filter(pc.equal(pool["round"], pc.max(pool["round"])))
            before = unit(vectors(self._column(last, self.column))[0])
            ids = table["id"].to_pylist()
            crowded = self._crowded(points, before)
            why = {int(order[i]): f"{told} {ids[order[j]]}" for i, (j, told) in crowded.items()}
            why |= self._common(table["instruction"].to_pylist(), last["instruction"].to_pylist())
        keep = [i not in why for i in range(len(table))]
        detail = [why.get(i, "") for i in range(len(table))]
        distance = pa.array(near, pa.float64(), from_pandas=True)
        return decisions(table, keep, "collapsed", detail, distance=distance)

    def _crowded(self, points: Array, before: Array) -> Mapping[int, tuple[int, str]]:
        """Return the points that are too near to one that stays, and which."""
        if len(points) < 2 or len(before) < 2:
            return {}
        once, first, of = np.unique(points, axis=0, return_index=True, return_inverse=True)
        old, new = (np.median(_distances(some)) for some in (np.unique(before, axis=0), once))
        limit = (1 - self.max_fall) * old
        if not new < limit:  # nor where all are one point
            return {}
        order = np.sort(first)
        found = walk(points[order], len(order), float(1 - limit))
        told = f"median distance {old:.3f} -> {new:.3f};"
        place = np.searchsorted(order, first)[of.ravel()]
        return {
            i: (int(order[j]), f"{told} {1 - found.similarity[place[i]]:.3f} from")
            for i, j in enumerate(found.nearest[place])
            if j >= 0
        }

    def _common(self, texts: list[str | None], before: list[str | None]) -> dict[int, str]:
        """Return the places of rows that begin as too many before them in the round do."""
        words, old = _firsts(texts), Counter(_firsts(before).values())
        was, now = _entropy(old), _entropy(Counter(words.values()))
        if not old or not words or now >= (1 - self.max_fall) * min(was, log2(len(words))):
            return {}
        most = max(1, max(old.values()) / old.total() * len(words))
        seen, gone = Counter[str](), dict[str | None, str]()
        for text, word in words.items():
            seen[word] += 1
            if seen[word] > most:
                gone[text] = f"entropy of first words {was:.2f} -> {now:.2f}; '{word}' again"
        return {i: gone[text] for i, text in enumerate(texts) if text in gone}


def _firsts(texts: Iterable[str | None]) -> dict[str | None, str]:
    """Return the first word of every text, each text once, in order."""
    return {text: next(iter(first_words(text or "", 1)), "") for text in texts}


def _entropy(counts: Counter[str]) -> float:
    """Return bits: 0 where all are the same."""
    return -sum(n / counts.total() * log2(n / counts.total()) for n in counts.values())


def _distances(points: Array) -> Array:
    """Return 1 - cosine of every point to the nearest other one, (n, d) -> (n,)."""
    if len(points) < 2:
        return np.full(len(points), np.nan, np.float32)
    near: Array = 1 - knn(points, 2).similarities[:, 1]
    return near
