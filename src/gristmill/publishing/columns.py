"""One column in two versions of a dataset: what each holds, in how many rows it differs, and which.

Every figure has rows behind it: those with the lowest, the median and the highest value, and some
of those that differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from gristmill.publishing.escape import line
from gristmill.publishing.matching import Matches
from gristmill.publishing.versions import Leaf, Version, series
from gristmill.text.like_texts import Mask
from gristmill.text.shingles import Hashes, Places

EXAMPLES = 5
"""Rows of each kind that are shown."""
EMPTY = pl.Series([], dtype=pl.Float64)
UNTOLD = ("id", "parents", "root", "calls", "gen")
"""Columns that are no fact about rows on the whole."""


@dataclass(frozen=True)
class Facts:
    """A column in one version.

    Texts count by their characters, lists by their length, truth values as 0 and 1.
    """

    filled: int
    """Rows that have a value."""
    mean: float | None
    low: float | None
    median: float | None
    high: float | None
    """None where nothing can be counted, or no row has a value."""
    rows: list[tuple[str, float | None]]
    """Ids of the rows with the lowest value, next to the median and with the highest; where nothing
    can be counted, of the first that has one."""


@dataclass(frozen=True)
class Column:
    """A column of either version; a value in a struct is a column with a dotted name."""

    name: str
    types: tuple[str | None, str | None]
    """None where a version does not have it."""
    facts: tuple[Facts | None, Facts | None]
    changed: int | None
    """Matched rows in which it differs; None where it cannot be compared."""
    rows: list[tuple[str, str, str]]
    """Ids of up to `EXAMPLES` of them, with the values before and after."""

    @property
    def tells(self) -> bool:
        """Whether it is more than a name, and not empty in both versions."""
        filled = sum(facts.filled for facts in self.facts if facts)
        same = self.types[0] == self.types[1] and not filled
        return bool(self.changed) or not (same or self.name in UNTOLD)


class Ids:
    """The ids of a version's rows, read once."""

    def __init__(self, version: Version) -> None:
        self._ids = version.column(("id",)) if ("id",) in version.leaves else None

    def of(self, places: Places) -> list[str]:
        """Return the ids of rows as they may be shown; a row without one has its place."""
        if self._ids is None:
            return [f"row {place}" for place in places]
        return [line(str(i), 64) for i in self._ids.gather(places)]


def columns(
    sides: tuple[Version, Version],
    ids: tuple[Ids, Ids],
    pairs: Matches,
    say: Callable[[Any], str],
) -> Iterator[tuple[Leaf, Column, Mask | None]]:
    """Yield every column of either version, and for every pair if it differs there.

    Hashes of 64 bits are compared, so that values are in memory for a moment only.
    """
    both = pairs.a, pairs.b
    for leaf in dict.fromkeys([*sides[0].leaves, *sides[1].leaves]):
        kinds = [side.leaves.get(leaf) for side in sides]
        common = _common(*map(_dtype, kinds))
        facts: list[Facts | None] = [None, None]
        hashes: list[Any] = []
        for i, (side, places) in enumerate(zip(sides, both, strict=True)):
            if kinds[i] is not None:
                facts[i], hashed = _read(side, leaf, common, ids[i])
                hashes += [] if hashed is None else [hashed[places]]
        differs = hashes[0] != hashes[1] if len(hashes) > 1 else None
        changed, rows = None, list[tuple[str, str, str]]()
        if differs is not None:
            changed = int(differs.sum())
            at = np.flatnonzero(differs)[:EXAMPLES]
            if changed:
                old, new = (v.some(leaf, of[at]) for v, of in zip(sides, both, strict=True))
                rows = [*zip(ids[1].of(pairs.b[at]), map(say, old), map(say, new), strict=True)]
        old_kind, new_kind = (None if kind is None else str(kind) for kind in kinds)
        told = (old_kind, new_kind), (facts[0], facts[1])
        yield leaf, Column(".".join(leaf), *told, changed, rows), differs


def _dtype(kind: pa.DataType | None) -> pl.DataType | None:
    return None if kind is None else series(pa.chunked_array([], kind)).dtype


def _common(one: pl.DataType | None, other: pl.DataType | None) -> pl.DataType | None:
    """Return the type in which values of both are compared; None where they cannot be."""
    if one is None or other is None or one == other:
        return other and one
    if one.is_nested() or other.is_nested():
        return None
    return pl.Float64() if one.is_numeric() and other.is_numeric() else pl.String()


def _read(
    side: Version, leaf: Leaf, common: pl.DataType | None, ids: Ids
) -> tuple[Facts, Hashes | None]:
    """Return the facts of a column, and a number for the value of every row."""
    filled, first, counts, hashes = 0, 0, [EMPTY], [np.zeros(0, np.uint64)]
    for values in side.parts(leaf):
        n = len(values) - values.null_count()
        if n and not filled:
            first = sum(map(len, counts)) + int(values.is_not_null().arg_max() or 0)
        filled += n
        counts.append(_counted(values))
        if common is not None:
            hashes.append(values.cast(common).hash().to_numpy())
    found = pl.concat(counts).fill_nan(None)
    known = found.drop_nulls()
    told = (known.mean(), known.min(), known.median(), known.max())
    mean, low, median, high = (None if x is None else float(x) for x in told)
    at = [first] if filled else []
    if median is not None:
        near = (found - median).abs().arg_min()
        at = [place for place in (found.arg_min(), near, found.arg_max()) if place is not None]
    at = [*dict.fromkeys(at)]
    rows = [*zip(ids.of(np.array(at, np.int64)), found.gather(at), strict=True)]
    facts = Facts(filled, mean, low, median, high, rows)
    return facts, None if common is None else np.concatenate(hashes)


def _counted(values: pl.Series) -> pl.Series:
    """Return what every value counts as; nothing where it is no text, list or number."""
    if values.dtype == pl.String:
        return values.str.len_chars().cast(pl.Float64)
    if isinstance(values.dtype, pl.List):
        return values.list.len().cast(pl.Float64)
    if values.dtype.is_numeric() or values.dtype == pl.Boolean:
        return values.cast(pl.Float64)
    return pl.Series([None] * len(values), dtype=pl.Float64)
