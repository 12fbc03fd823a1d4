"""Two versions of a dataset compared: rows, columns and, of runs, what every stage let through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from gristmill.errors import InputError
from gristmill.formats.marks import FINAL
from gristmill.publishing.escape import line
from gristmill.publishing.files import RunFiles
from gristmill.publishing.masking import mask_of
from gristmill.publishing.matching import How, Matches, asked, match, says
from gristmill.publishing.versions import Leaf, Version, series
from gristmill.text.like_texts import Mask
from gristmill.text.shingles import Hashes, Places

EXAMPLES = 5
"""Rows of each kind that are shown."""
CHARS = 240
"""Of a text that is shown."""
EMPTY = pl.Series([], dtype=pl.Float64)
LOST = ("rejected", "rejected_children")
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


@dataclass(frozen=True)
class Column:
    """A column of either version; a value in a struct is a column with a dotted name."""

    name: str
    types: tuple[str | None, str | None]
    """None where a version does not have it."""
    facts: tuple[Facts | None, Facts | None]
    changed: int | None
    """Matched rows in which it differs; None where it cannot be compared."""


@dataclass(frozen=True)
class Changed:
    """A row that stands in both versions and says something else."""

    ids: tuple[str, str]
    texts: list[tuple[str, str, str]]
    """Name, text before, text after of every column that differs."""


@dataclass(frozen=True)
class Diff:
    """What changed from one version to another."""

    names: tuple[str, str]
    rows: tuple[int, int]
    same: int
    """Matched rows of which nothing differs that both versions tell."""
    noted: int
    """Matched rows that say the same; scores, verdicts or other notes differ."""
    changed: int
    """Matched rows of which a text differs."""
    added: int
    removed: int
    matched_by: dict[How, int]
    columns: list[Column]
    funnel: list[dict[str, Any]] | None
    """Per stage the counts `in`, `kept`, `lost`, `failed` and `codes` of both; None where one of
    them is no run."""
    examples: dict[str, list[Any]]
    """Up to `EXAMPLES` rows `changed`, `added`, `removed`, `noted` and the `same`."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-like data."""
        return asdict(self)


def diff(a: Version, b: Version) -> Diff:
    """Compare two versions, the older one first.

    Raises:
        InputError: They have no column in common that says something.
    """
    common = [leaf for leaf in a.leaves if leaf in b.leaves]
    if not any(map(says, common)):
        raise InputError(
            f"{a.name} and {b.name} have no column in common that could be compared: the first has "
            f"{_tops(a)}, the second {_tops(b)}; rename the columns of one of them, or name "
            "another version"
        )
    pairs, say = match(a, b), _sayer(b.run)
    n = len(pairs.a)
    differs: dict[bool, Mask] = {True: np.zeros(n, bool), False: np.zeros(n, bool)}
    columns = []
    for leaf in dict.fromkeys([*a.leaves, *b.leaves]):
        column, found = _column(leaf, a, b, pairs)
        columns.append(column)
        if found is not None:
            differs[says(leaf)] |= found
    changed, noted = differs[True], differs[False] & ~differs[True]
    alone = [np.setdiff1d(np.arange(v.n), of) for v, of in ((a, pairs.a), (b, pairs.b))]
    return Diff(
        (a.name, b.name),
        (a.n, b.n),
        int(n - changed.sum() - noted.sum()),
        int(noted.sum()),
        int(changed.sum()),
        len(alone[1]),
        len(alone[0]),
        pairs.by,
        [column for column in columns if _tells(column)],
        _funnel(a.run, b.run) if a.run and b.run else None,
        {
            "changed": [*_changes(a, b, pairs, np.flatnonzero(changed)[:EXAMPLES], columns, say)],
            "added": _shown(b, alone[1][:EXAMPLES], say),
            "removed": _unsaid(_shown(a, alone[0][:EXAMPLES], say), b.run),
            "noted": _shown(b, pairs.b[np.flatnonzero(noted)[:EXAMPLES]], say),
            "same": _shown(b, pairs.b[np.flatnonzero(~changed & ~noted)[:EXAMPLES]], say),
        },
    )


def _tells(column: Column) -> bool:
    """Leave out columns of names, and those that are empty in both versions."""
    filled = sum(facts.filled for facts in column.facts if facts)
    same = column.types[0] == column.types[1] and not filled
    return bool(column.changed) or not (same or column.name in UNTOLD)


def _tops(version: Version) -> list[str]:
    return [line(name, 40) for name in version.rows.schema.names[:12]]


def _column(leaf: Leaf, a: Version, b: Version, pairs: Matches) -> tuple[Column, Mask | None]:
    """Return a column, and for every pair if it differs there.

    Hashes of 64 bits are compared, so that values are in memory for a moment only.
    """
    sides = (a, b)
    kinds = [side.leaves.get(leaf) for side in sides]
    common = _common(*map(_dtype, kinds))
    facts: list[Facts | None] = [None, None]
    hashes: list[Any] = []
    for i, (side, places) in enumerate(zip(sides, (pairs.a, pairs.b), strict=True)):
        if kinds[i] is not None:
            facts[i], hashed = _read(side, leaf, common)
            hashes += [] if hashed is None else [hashed[places]]
    differs = hashes[0] != hashes[1] if hashes else None
    changed = None if differs is None else int(differs.sum())
    names = [None if kind is None else str(kind) for kind in kinds]
    return Column(".".join(leaf), (names[0], names[1]), (facts[0], facts[1]), changed), differs


def _dtype(kind: pa.DataType | None) -> pl.DataType | None:
    return None if kind is None else series(pa.chunked_array([], kind)).dtype


def _common(one: pl.DataType | None, other: pl.DataType | None) -> pl.DataType | None:
    """Return the type in which values of both are compared; None where they cannot be."""
    if one is None or other is None or one == other:
        return other and one
    if one.is_nested() or other.is_nested():
        return None
    return pl.Float64() if one.is_numeric() and other.is_numeric() else pl.String()


def _read(side: Version, leaf: Leaf, common: pl.DataType | None) -> tuple[Facts, Hashes | None]:
    """Return the facts of a column, and a number for the value of every row."""
    filled, counts, hashes = 0, [EMPTY], [np.zeros(0, np.uint64)]
    for values in side.parts(leaf):
        filled += len(values) - values.null_count()
        if (counted := _counted(values)) is not None:
            counts.append(counted.drop_nulls().drop_nans())
        if common is not None:
            hashes.append(values.cast(common).hash().to_numpy())
    found = pl.concat(counts)
    told = (found.mean(), found.min(), found.median(), found.max())
    facts = Facts(filled, *(None if x is None else float(x) for x in told))
    return facts, None if common is None else np.concatenate(hashes)


def _counted(values: pl.Series) -> pl.Series | None:
    if values.dtype == pl.String:
        return values.str.len_chars().cast(pl.Float64)
    if isinstance(values.dtype, pl.List):
        return values.list.len().cast(pl.Float64)
    if values.dtype.is_numeric() or values.dtype == pl.Boolean:
        return values.cast(pl.Float64)
    return None


def _funnel(a: RunFiles, b: RunFiles) -> list[dict[str, Any]]:
    """Return a line per stage of either run, in the order of the second."""
    lines = [{at["stage"]: at for at in run.stages} for run in (a, b)]
    order = dict.fromkeys([*lines[1], *lines[0]])
    return [
        {"stage": label, "a": _counts(lines[0].get(label)), "b": _counts(lines[1].get(label))}
        for label in order
    ]


def _counts(at: dict[str, Any] | None) -> dict[str, Any] | None:
    if at is None:
        return None
    lost = sum(at[name] for name in LOST)
    return {**{n: at[n] for n in ("in", "kept", "failed")}, "lost": lost, "codes": at["codes"]}


def _changes(
    a: Version,
    b: Version,
    pairs: Matches,
    which: Places,
    columns: Sequence[Column],
    say: Callable[[Any], str],
) -> Iterator[Changed]:
    leaves = [leaf for leaf in a.leaves if leaf in b.leaves and says(leaf)]
    changed = {column.name for column in columns if column.changed}
    leaves = [leaf for leaf in leaves if ".".join(leaf) in changed]
    sides = (a, pairs.a[which]), (b, pairs.b[which])
    before, after = ({leaf: v.some(leaf, places) for leaf in leaves} for v, places in sides)
    ids = zip(*(_ids(*side) for side in sides), strict=True)
    for i, both in enumerate(ids):
        texts = [(leaf, before[leaf][i], after[leaf][i]) for leaf in leaves]
        yield Changed(both, [(".".join(leaf), say(x), say(y)) for leaf, x, y in texts if x != y])


def _ids(version: Version, places: Places) -> list[str]:
    if ("id",) in version.leaves:
        return [line(str(i), 64) for i in version.some(("id",), places)]
    return [f"row {place}" for place in places]


def _shown(version: Version, places: Places, say: Callable[[Any], str]) -> list[tuple[str, str]]:
    """Return the ids of rows, and what each asks."""
    return list(zip(_ids(version, places), map(say, asked(version, places)), strict=True))


def _unsaid(shown: list[tuple[str, str]], run: RunFiles | None) -> list[tuple[str, str]]:
    """Hide what rows say that a run took out because nobody should read it there."""
    ids = pl.col("id").is_in([i for i, _ in shown])
    why = dict(run.rows.filter(ids).select("id", "end_code").iter_rows()) if run else {}
    return [(i, f"not shown: {why[i]}" if why.get(i) in FINAL else text) for i, text in shown]


def _sayer(run: RunFiles | None) -> Callable[[Any], str]:
    """Return what gives a value as one line, masked as filters of a run mask it.

    The page or the table that shows it escapes it.
    """
    mask = mask_of(run) if run else str
    return lambda value: "" if value is None else line(mask(str(value)), CHARS)
