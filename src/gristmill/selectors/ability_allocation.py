"""Share a budget among abilities: a fixed size where more rows no longer help, the rest evenly.

Source: Song et al., "Dynamics of Instruction Tuning", arXiv:2310.19651, section 5.
Differs from the paper: what an ability lacks is shared among the others by largest remainder; the
paper's mixtures with synthetic rows are recipes of `mixture`. Its sizes were measured on Chinese
rows of ten abilities: measure your own, on labels that you have looked at.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.errors import InputError
from gristmill.geometry.picks import Indices, drawn, picked
from gristmill.geometry.quotas import first_of_each, groups, plateau, quotas
from gristmill.pipelines.stage import TableStage

Curve = tuple[str, tuple[tuple[int, float], ...]]


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the first drawn, abilities mixed; None was not."""
    quota: int | None
    """Rows that the row's ability gives."""


class AbilityAllocation(TableStage):
    """Draw from every ability its quota, by chance. O(n log n)."""

    codes: ClassVar[frozenset[str]] = frozenset({"not_selected", "no_ability"})

    k: int = Field(ge=1)
    """Rows in all; 10,000 in the paper."""
    by: str = Field(default="ability", pattern=r"^\w+(\.\w+)*$")
    """Column with the ability."""
    plateaus: tuple[tuple[str, int], ...] = ()
    """Abilities and the rows that are enough: [[ethics, 64], [creative_writing, 1000]]."""
    curves: tuple[Curve, ...] = ()
    """Or what was measured, rows and score: [[ethics, [[1, 30], [64, 45], [256, 45.2]]]]. An
    ability still rising at its largest size has no plateau."""
    within: float = Field(default=0.5, ge=0)
    """Points below the best score of a curve that count as the best."""
    seed: int = 0
    """Of the draw: a row's chance depends on it and the row's id alone."""

    def reads(self) -> frozenset[str]:
        """The column is a parameter."""
        return frozenset({self.by})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 2) -> (n, 6); rows without an ability leave with their own code."""
        names, of = groups(table[self.by])
        sizes = np.bincount(of[of >= 0], minlength=len(names))
        counts = self._counts(names, sizes)
        picks = first_of_each(drawn(table, self.seed), of, counts)
        codes = np.where(of < 0, "no_ability", "not_selected")
        told: dict[str, Any] = {
            "not_selected": [f"rows: {counts[g]} of {sizes[g]}" if g >= 0 else "" for g in of],
            "no_ability": f"{self.by} is null",
        }
        quota = np.append(counts, 0)[of]
        return picked(table, picks, codes, told, quota=pa.array(quota, mask=of < 0))

    def _counts(self, names: list[str], sizes: Indices) -> Indices:
        """Give flat abilities their size, largest remainder among them if that is above `k`."""
        flat = self._flat()
        if unknown := sorted(flat.keys() - set(names)) if names else []:
            raise InputError(
                f"ability_allocation names the abilities {unknown}, but '{self.by}' has {names}"
            )
        enough = np.array([flat.get(name, 0) for name in names], np.int64)
        fixed = np.minimum(enough, sizes)
        if fixed.sum() >= self.k:
            return quotas(self.k, fixed.astype(np.float64), fixed)
        is_flat = np.array([name in flat for name in names], bool)
        if is_flat.all():
            return fixed
        rest = np.where(is_flat, 0, sizes)
        return fixed + quotas(self.k - int(fixed.sum()), (~is_flat).astype(np.float64), rest)

    def _flat(self) -> dict[str, int]:
        found = dict(self.plateaus)
        for name, curve in self.curves:
            rows, scores = zip(*curve, strict=True)
            if (size := plateau(rows, scores, self.within)) is not None:
                found.setdefault(name, size)
        return found
