"""Mix sources: cap each, flatten their sizes by a temperature, draw rows of each by chance.

Source: Wang et al., "How Far Can Camels Go?" (Tulu), arXiv:2306.04751, section 3: caps, then
everything is concatenated (T = 1, no k). Temperatures are usual for multilingual and multi-task
mixtures, as in T5 (Raffel et al., arXiv:1910.10683, section 3.5.2).
Differs from the paper: chance belongs to the row's id, so that a larger pool keeps most draws;
prompt encodings and splitting of long chats are not here: split and deduplicate before.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.errors import InputError
from gristmill.geometry.picks import Indices, drawn, picked
from gristmill.geometry.quotas import first_of_each, groups, quotas
from gristmill.pipelines.stage import TableStage


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the first drawn, sources mixed; None was not."""
    times: int | None
    """How often training should see the row; above 1 only with `epochs`."""
    epochs: float | None
    """Of the row's source: times over all its rows, divided by those rows."""


class Mixture(TableStage):
    """Draw from every source its share, p ~ min(rows, cap) ** (1 / temperature). O(n log n)."""

    codes: ClassVar[frozenset[str]] = frozenset({"not_selected", "no_source"})

    k: int | None = Field(default=None, ge=1)
    """Rows in all, repeats included; None: every source gives what its cap allows."""
    by: str = Field(default="source", pattern=r"^\w+(\.\w+)*$")
    """Column with the source's name."""
    temperature: float = Field(default=1.0, gt=0)
    """1 is proportional to size; the higher, the more alike are the shares."""
    cap: int | None = Field(default=None, ge=1)
    """Rows of a source that are used at all, and that its share is computed from."""
    caps: tuple[tuple[str, int], ...] = ()
    """Of single sources, before `cap`: [[flan_v2, 50000], [cot, 25000]]."""
    absent: Literal["refuse", "ignore"] = "refuse"
    """What becomes of `caps` of a source without rows: a name mistyped, or a run too small."""
    epochs: float = Field(default=1.0, gt=0, le=4)
    """How often a source's rows may be repeated on average, where its share is larger than it
    is. More than 4 is refused: what repeats so often is learned by heart."""
    seed: int = 0
    """Of the draw: a row's chance depends on it and the row's id alone."""

    def reads(self) -> frozenset[str]:
        """The column is a parameter."""
        return frozenset({self.by})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 2) -> (n, 7); rows without a source leave with their own code."""
        names, of = groups(table[self.by])
        sizes = np.bincount(of[of >= 0], minlength=len(names))
        counts, pool = self._counts(names, sizes)
        order = drawn(table, self.seed)
        picks = first_of_each(order, of, np.minimum(counts, pool))
        times = np.zeros(len(table), np.int64)
        for turn in range(4):
            times[first_of_each(order, of, np.clip(counts - turn * pool, 0, pool))] += 1
        share = np.append(counts / np.maximum(sizes, 1), np.nan)[of] if len(of) else np.empty(0)
        codes = np.where(of < 0, "no_source", "not_selected")
        told: dict[str, Any] = {
            "not_selected": [f"rows: {counts[g]} of {sizes[g]}" if g >= 0 else "" for g in of],
            "no_source": f"{self.by} is null",
        }
        seen = pa.array(times, mask=times == 0)
        return picked(table, picks, codes, told, times=seen, epochs=share)

    def _counts(self, names: list[str], sizes: Indices) -> tuple[Indices, Indices]:
        """Return how many rows every source gives, repeats included, and of how many."""
        own = dict(self.caps)
        unknown = sorted(own.keys() - set(names)) if names else []
        if unknown and self.absent == "refuse":
            raise InputError(
                f"mixture.caps names {unknown}, but '{self.by}' has {names}; correct the names, or "
                f"set `absent: ignore` where a source may have no rows"
            )
        pairs = zip(names, sizes.tolist(), strict=True)
        pool = np.array([min(size, own.get(name, self.cap or size)) for name, size in pairs])
        pool = pool.astype(np.int64)
        if self.k is None:
            return pool, pool
        most = np.floor(pool * self.epochs + 1e-9).astype(np.int64)
        return quotas(self.k, pool ** (1 / self.temperature), most), pool
