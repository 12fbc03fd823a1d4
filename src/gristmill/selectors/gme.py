"""Greedy maximum entropy: keep rows whose labels together are spread as evenly as can be.

Source: Delmas et al., arXiv:2311.06364 (GME-sampler), from the formulas alone.
Differs from the paper: rows with the same labels are judged once, which changes no pick; equal
rows are taken in order of id. Adding a row can lower an entropy, so there is no bound on how far
greedy is from the best.
"""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import Annotated, Any, ClassVar, Literal, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.errors import InputError
from gristmill.geometry.entropy import distinct, most_even
from gristmill.geometry.picks import by_id, picked
from gristmill.pipelines.stage import TableStage

MOST = 2_000_000_000
"""Distinct rows times picks: about a quarter of an hour on one core."""


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the first pick; None was not picked."""
    entropies: list[float] | None
    """Nats, per column: how evenly the labels are spread with this pick and those before it."""
    distance: float | None
    """0 and more, lower is better: from there to the largest entropies possible."""


class Gme(TableStage):
    """Add the row that brings the entropies nearest to their maxima; ties go to the lowest id.

    O(k u) for u rows with different labels, O(n k) at worst; with `sample` as many per pick.
    """

    codes: ClassVar[frozenset[str]] = frozenset({"not_selected"})

    k: int = Field(ge=1)
    """Rows to keep."""
    columns: tuple[str, ...] = Field(default=("source",), min_length=1)
    """Columns of a label, or of a list of labels. A row without one changes nothing there."""
    rule: Literal["utopia", "sum"] = "utopia"
    """Nearest to the largest entropies (the paper's default), or the largest sum of entropies."""
    once: bool = False
    """Count a label once per row, however often the row has it."""
    decimals: int | None = Field(default=5, ge=0)
    """Entropies are rounded before they are compared; 5 is the authors'."""
    sample: int | None = Field(default=None, ge=1)
    """Look at so many rows per pick, drawn anew; `chance_of_best` says what that finds."""
    seed: int = Field(default=0, ge=0)
    """Of the draw."""

    def reads(self) -> frozenset[str]:
        """The columns are a parameter."""
        return frozenset(self.columns)

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, columns) -> (n, 7)."""
        order = by_id(table)
        labels = [table[name].to_pylist() for name in self.columns]
        items = [[self._labels(column[place]) for column in labels] for place in order]
        if self.sample is None and (work := distinct(items) * min(self.k, len(items))) > MOST:
            n = len(items)
            chance = chance_of_best(n // 100, n, 200)
            raise InputError(
                f"gme: {n:,} rows and k={self.k:,} need {work:,} steps, at most {MOST:,}; "
                "set sample, such as 200, to look at so many rows per pick: one of them is among "
                f"the best hundredth with a probability of {chance:.2f}"
            )
        found = most_even(items, self.k, self.rule, self.decimals, self.sample, self.seed)
        picks = order[found.picks]
        entropies: list[Any] = [None] * len(table)
        distance: list[Any] = [None] * len(table)
        for i, place in enumerate(picks):
            entropies[place], distance[place] = found.entropies[i].tolist(), found.distances[i]
        told = {"not_selected": f"k={self.k}"}
        columns = {
            "entropies": pa.array(entropies, pa.list_(pa.float64())),
            "distance": pa.array(distance, pa.float64()),
        }
        return picked(table, picks, "not_selected", told, **columns)

    def _labels(self, value: Any) -> Counter[str]:
        values = value if isinstance(value, list) else [value]
        names = [str(name) for name in values if name is not None]
        return Counter(set(names) if self.once else names)


def chance_of_best(best: int, n: int, sample: int) -> float:
    """Return the probability (0..1) that a sample of n rows has one of the `best`.

    1 - C(n - best, sample) / C(n, sample), factor by factor.

    >>> round(chance_of_best(10, 1_000, 200), 3)
    0.894
    """
    return 1 - prod(max(0, n - sample - i) / (n - i) for i in range(best))
