"""D3: rows that are hard, can be trusted, and lie far from what is selected, all three at once.

Source: Zhang et al., "D3: Diversity, Difficulty, and Dependability-Aware Data Selection",
arXiv:2503.11441: a weighted coreset, solved greedily. Every pick has the largest product of
difficulty, dependability and distance to the picks before it; the first the largest of two.
Differs from the paper: no code of the authors is known and the objective is put together from
accounts of it; distances are Euclidean on vectors of unit length. The rounds are the recipe's:
with `rounds: {n: 3, train: scorer}` and a stage behind it, each round scores with the model that
was trained on the picks so far, and keeps away from them. The number of rounds is not known.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.errors import InputError
from gristmill.geometry.k_center import k_center
from gristmill.geometry.picks import Numbers, numbers, picked
from gristmill.geometry.vectors import located, unit, vectors
from gristmill.pipelines.stage import VectorStage

PATH = r"^\w+(\.\w+)*$"


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the first pick; None was not picked."""
    value: float | None
    """Difficulty times dependability: 0 and more, higher is better."""
    gain: float | None
    """`value` times the distance to the picks before, never rising; None for the first of all."""


class D3(VectorStage):
    """Select the weighted coreset. O(n k d) at worst; ties go to the larger value, then lowest id.

    Rows whose value is 0 come last. A row equal to a pick is never picked.
    """

    codes: ClassVar[frozenset[str]] = frozenset(
        {"not_selected", "zero_distance", "no_vector", "unscored"}
    )
    pools: ClassVar[bool] = True

    k: int = Field(ge=1)
    """Rows to keep, in each round. Fewer come back when fewer differ from each other."""
    difficulty: str = Field(default="scores.upd.score", pattern=PATH)
    """Column of a number, 0 and more."""
    dependability: str = Field(default="scores.dependability.score", pattern=PATH)
    """Column of a number, 0 and more. Its scorer keeps it above 0, because 0 would be a veto."""

    def reads(self) -> frozenset[str]:
        """The columns are parameters."""
        return super().reads() | {self.difficulty, self.dependability}

    def decide(self, table: pa.Table, pool: pa.Table | None = None) -> Annotated[pa.Table, Pick]:
        """(n, 4) -> (n, 7); `pool` has the picks of earlier rounds, with their vectors."""
        points, order = located(table, self.column)
        value = self._values(table)
        codes = np.full(len(table), "no_vector", object)
        codes[order] = np.where(np.isnan(value[order]), "unscored", "not_selected")
        best = np.argsort(-value[order], kind="stable")  # NaN stands last
        best = best[~np.isnan(value[order][best])]
        points, order = unit(points[best]), order[best]
        before = np.empty((0, points.shape[1]), np.float32)
        if pool is not None and len(pool):
            before = unit(vectors(self._column(pool, self.column))[0])
        n, weights = len(before), np.concatenate([np.ones(len(before)), value[order]])
        found = k_center(np.concatenate([before, points]), self.k, "first", range(n), weights)
        picks = order[found.picks - n]
        gain = np.full(len(table), np.nan)
        gain[picks] = np.where(np.isinf(found.distances), np.nan, found.distances)
        if len(picks) < min(self.k, len(order)):
            codes[order] = "zero_distance"
        told = {
            "not_selected": f"k={self.k}",
            "zero_distance": "equal to a picked row",
            "no_vector": f"{self.column} is null",
            "unscored": f"{self.difficulty} or {self.dependability} is null",
        }
        return picked(table, picks, codes, told, value=value, gain=gain)

    def _values(self, table: pa.Table) -> Numbers:
        """Return difficulty times dependability, (n,); NaN where one of the two is null."""
        value = np.ones(len(table))
        for name in (self.difficulty, self.dependability):
            factor = numbers(table[name])
            if (factor < 0).any():
                raise InputError(f"{name} is {np.nanmin(factor):g}; both are 0 or more")
            with np.errstate(over="ignore"):
                value = value * factor
        if np.isinf(value).any():
            raise InputError(f"{self.difficulty} times {self.dependability} is above 1.8e308")
        return value
