"""Which row of one dataset is which row of another: by id, by what it says, by likeness.

Columns are read one by one, and texts only of the rows that ids do not match.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from gristmill.publishing.versions import Leaf, Version
from gristmill.storage.rows import STRUCTS, SYSTEM
from gristmill.text.like_texts import like_pairs
from gristmill.text.shingles import Hashes, Places, Shingles, mixed, shingles

How = Literal["id", "text", "likeness"]
NOTES = frozenset({*SYSTEM, *STRUCTS, "meta", "calls", "gen", "flags"})
"""Columns that tell something about a row; all others are what it says."""
ASKED = ("instruction", "input", "prompt")
SAME_ROOT, ANY_ROOT = (2, 0.5), (5, 0.7)
"""Words of a run and the likeness (0..1) of a pair: of children of one seed, and of any two rows,
as in `filters.near_duplicates`."""


@dataclass(frozen=True)
class Matches:
    """Pairs of rows; a row is in one of them at most."""

    a: Places
    b: Places
    """(n,) int64: the places of both rows of a pair."""
    by: dict[How, int]
    """Pairs that each way found, in the order in which the ways were gone."""


def says(leaf: Leaf) -> bool:
    """Tell whether a column is part of what a row says."""
    return leaf[0] not in NOTES


def match(a: Version, b: Version) -> Matches:
    """Match rows by id; then those that say the same; then those that ask nearly the same.

    Children of one seed find each other before all others do. O(n log n): among many that are
    alike, a row is compared with as many as `like_pairs` looks at. A whole diff of 1,000,000 rows
    a side, 50 words of one template each and no common ids, took 100 s of one core and 6.3 GB.
    """
    sides = [_Side(a), _Side(b)]
    found: dict[How, pl.DataFrame] = {"id": _joined(sides, ["id"])}
    common = [leaf for leaf in a.leaves if leaf in b.leaves and says(leaf)]
    for side in sides if common else ():
        side.left = side.left.with_columns(said=side.said(common))
    ways = (["said", "root"], ["said"]) if common else ()
    found["text"] = pl.concat([NONE, *(_joined(sides, on) for on in ways)])
    for side in sides:
        side.left = side.left.with_columns(asked=asked(side.version, side.left["place"]))
    found["likeness"] = pl.concat([_alike(sides, *SAME_ROOT), _alike(sides, *ANY_ROOT)])
    pairs = pl.concat(list(found.values()))
    by = {how: len(some) for how, some in found.items()}
    return Matches(pairs["a"].to_numpy(), pairs["b"].to_numpy(), by)


class _Side:
    """The rows of a version that have no partner yet: place, id, root."""

    def __init__(self, version: Version) -> None:
        self.version = version
        names = {
            name: version.column((name,)).cast(pl.String)
            if (name,) in version.leaves
            else pl.Series([None] * version.n, dtype=pl.String)
            for name in ("id", "root")
        }
        self.left = pl.DataFrame({"place": np.arange(version.n), **names})

    def said(self, leaves: Sequence[Leaf]) -> pl.Series:
        """Return a number for what each row says in some columns."""
        total = np.zeros(len(self.left), np.uint64)
        for leaf in leaves:
            values = self.version.column(leaf).gather(self.left["place"])
            total = mixed(total + values.hash().to_numpy())
        return pl.Series(total)


def asked(version: Version, places: Sequence[int] | pl.Series) -> pl.Series:
    """Return what rows ask, (n,) texts; where no column is named so, all that they say."""
    there = [(name,) for name in ASKED if (name,) in version.leaves]
    parts = [
        _text(version.column(leaf).gather(places)).alias("/".join(leaf))
        for leaf in there or filter(says, version.leaves)
    ]
    if not parts:
        return pl.Series([""] * len(places), dtype=pl.String)
    whole = pl.concat_str(pl.all(), separator="\n\n", ignore_nulls=True)
    return pl.DataFrame(parts).select(whole.alias("asked"))["asked"]


NONE = pl.DataFrame(schema={"a": pl.Int64, "b": pl.Int64})


def _text(values: pl.Series) -> pl.Series:
    """Return texts, or what the turns of conversations say; nothing of other columns."""
    if isinstance(values.dtype, pl.List) and isinstance(values.dtype.inner, pl.Struct):
        names = [at.name for at in values.dtype.inner.fields if at.name in ("content", "value")]
        if names:
            said = pl.element().struct.field(names[0]).cast(pl.String)
            return values.list.eval(said).list.join("\n", ignore_nulls=True)
    is_text = values.dtype == pl.String
    return values if is_text else pl.Series([None] * len(values), dtype=pl.String)


def _joined(sides: list[_Side], on: list[str]) -> pl.DataFrame:
    """Match rows with the same values in some columns; of those that come again, in order."""
    nth = pl.int_range(pl.len()).over(on).alias("nth")
    one, other = (side.left.select(nth, "place", *on) for side in sides)
    pairs = one.join(other, on=[*on, "nth"], suffix="_b").select(a="place", b="place_b").sort("a")
    _take(sides, pairs)
    return pairs


def _take(sides: list[_Side], pairs: pl.DataFrame) -> None:
    for side, name in zip(sides, ("a", "b"), strict=True):
        side.left = side.left.join(pairs, left_on="place", right_on=name, how="anti")


def _alike(sides: list[_Side], ngram: int, threshold: float) -> pl.DataFrame:
    """Match rows that ask what is alike, the nearest first."""
    rows = [side.left for side in sides]
    is_rooted = (ngram, threshold) == SAME_ROOT
    if is_rooted:
        rows = [one.join(two, on="root", how="semi") for one, two in (rows, rows[::-1])]
    if not all(map(len, rows)):
        return NONE
    a, b = (_Groups.of(some, ngram, is_rooted=is_rooted) for some in rows)
    shares, i, j = like_pairs(a.texts, b.texts, threshold, (a.apart, b.apart))
    order = np.lexsort((b.members[b.starts[j]], a.members[a.starts[i]], -shares))
    pairs = pl.DataFrame(_paired(a, b, i[order], j[order]), NONE.schema, orient="row").sort("a")
    _take(sides, pairs)
    return pairs


@dataclass(frozen=True)
class _Groups:
    """Rows that ask the same; `apart` keeps the families of seeds apart where that is wanted."""

    texts: Shingles
    apart: Hashes
    members: Places
    """The places of all rows, group by group."""
    starts: Places
    """(n + 1,): where those of each group start."""

    @classmethod
    def of(cls, rows: pl.DataFrame, ngram: int, *, is_rooted: bool) -> _Groups:
        cut = shingles(rows["asked"].fill_null(""), "words", ngram)
        apart = rows["root"].hash().to_numpy() if is_rooted else np.zeros(len(rows), np.uint64)
        speaks = np.flatnonzero(np.diff(cut.starts) > 0)
        cut, apart = cut.only(speaks), apart[speaks]
        names = mixed(cut.names() + apart)
        _, first, which, n = np.unique(
            names, return_index=True, return_inverse=True, return_counts=True
        )
        members = rows["place"].to_numpy()[speaks][np.argsort(which, kind="stable")]
        starts = np.concatenate([[0], np.cumsum(n)]).astype(np.int64)
        return cls(cut.only(first), apart[first], members, starts)


def _paired(a: _Groups, b: _Groups, i: Places, j: Places) -> list[tuple[int, int]]:
    """Give every row of two groups that are alike one of the other, as long as there are any.

    Groups i and j are pairs, (m,) each, the nearest first.
    """
    pairs = list[tuple[int, int]]()
    (ours, our_ends), (theirs, their_ends) = (
        (side.members.tolist(), side.starts[1:].tolist()) for side in (a, b)
    )
    our_next, their_next = a.starts[:-1].tolist(), b.starts[:-1].tolist()
    for one, other in zip(i.tolist(), j.tolist(), strict=True):
        while our_next[one] < our_ends[one] and their_next[other] < their_ends[other]:
            pairs.append((ours[our_next[one]], theirs[their_next[other]]))
            our_next[one] += 1
            their_next[other] += 1
    return pairs
