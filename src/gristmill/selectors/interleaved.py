"""Order all rows as a course of study: difficulty rises, while subjects take turns.

Source: Lee et al., "Instruction Tuning with Human Curriculum", arXiv:2310.09518, section 3.4: by
stage of education, then by Bloom's level, subjects interleaved; blocked by subject and random are
what it is compared with.
Differs from the paper: ties are broken our way, by subject, then course and place in it, then id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Annotated, Any, ClassVar, Literal, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.geometry.picks import drawn, picked
from gristmill.pipelines.stage import TableStage

PATH = r"^\w+(\.\w+)*$"


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is to be trained on first; the trainer must not shuffle, nor pack rows out of order."""


class Interleaved(TableStage):
    """Rank by stage and level; of every such bucket one row per subject, then the next of each.

    O(n log n). A row whose stage or level is in no list leaves.
    """

    codes: ClassVar[frozenset[str]] = frozenset({"unranked"})

    order: Literal["interleaved", "blocked", "random"] = "interleaved"
    """The paper's order, or one of its two controls."""
    stage: str = Field(default="education", pattern=PATH)
    stages: tuple[str, ...] = Field(
        default=("secondary", "undergraduate", "graduate"), min_length=1
    )
    """Values of the column `stage`, easy first."""
    level: str = Field(default="meta.corgi.bloom", pattern=PATH)
    levels: tuple[str, ...] = Field(default=("remember", "understand", "apply"), min_length=1)
    """Values of the column `level`, easy first."""
    subject: str = Field(default="subject", pattern=PATH)
    """Column of what takes turns."""
    within: tuple[str, ...] = ("course", "meta.corgi_concepts.place")
    """Columns that order the rows of one subject."""
    seed: int = 0
    """Of the random order."""

    def reads(self) -> frozenset[str]:
        """The columns are parameters."""
        return frozenset({self.stage, self.level, self.subject, *self.within})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 6) -> (n, 5)."""
        rows = [self._key(row) for row in table.to_pylist()]
        there = [i for i, key in enumerate(rows) if key is not None]
        if self.order == "random":
            order = [i for i in drawn(table, self.seed).tolist() if rows[i] is not None]
        elif self.order == "blocked":
            order = sorted(there, key=lambda i: (rows[i][1], rows[i][0], rows[i][2:]))
        else:
            order = _interleaved(sorted(there, key=lambda i: rows[i]), rows)
        told = f"{self.stage} or {self.level} is in no list"
        return picked(table, order, "unranked", {"unranked": told})

    def _key(self, row: dict[str, Any]) -> Any:
        """Return bucket, subject, and what orders the rows of both; None without a bucket."""
        stage, level = row[self.stage], row[self.level]
        if stage not in self.stages or level not in self.levels:
            return None
        bucket = self.stages.index(stage), self.levels.index(level)
        inside = [(row[name] is not None, row[name]) for name in self.within]
        return bucket, str(row[self.subject] or ""), *inside, row["id"]


def _interleaved(order: Sequence[int], keys: Sequence[Any]) -> list[int]:
    """Return the places, of which subjects take turns inside a bucket."""
    buckets: dict[Any, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i in order:
        buckets[keys[i][0]][keys[i][1]].append(i)
    turns = chain.from_iterable(zip_longest(*one.values()) for one in buckets.values())
    return [i for turn in turns for i in turn if i is not None]
