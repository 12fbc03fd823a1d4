"""Two versions of a dataset compared: rows, columns and, of runs, what every stage let through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from gristmill.errors import InputError
from gristmill.formats.marks import FINAL
from gristmill.publishing.columns import EXAMPLES, Column, Ids, columns
from gristmill.publishing.escape import line
from gristmill.publishing.files import RunFiles
from gristmill.publishing.masking import mask_of
from gristmill.publishing.matching import How, Matches, asked, match, says
from gristmill.publishing.versions import Version
from gristmill.text.like_texts import Mask
from gristmill.text.shingles import Places

CHARS = 240
"""Of a text that is shown."""
LOST = ("rejected", "rejected_children")


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
    pairs, say, ids = match(a, b), _sayer(b.run), (Ids(a), Ids(b))
    n = len(pairs.a)
    differs: dict[bool, Mask] = {True: np.zeros(n, bool), False: np.zeros(n, bool)}
    found = list[Column]()
    for leaf, column, where in columns((a, b), ids, pairs, say):
        found.append(column)
        if where is not None:
            differs[says(leaf)] |= where
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
        [column for column in found if column.tells],
        _funnel(a.run, b.run) if a.run and b.run else None,
        {
            "changed": [
                *_changes((a, b), ids, pairs, np.flatnonzero(changed)[:EXAMPLES], found, say)
            ],
            "added": _shown(b, ids[1], alone[1], say),
            "removed": _unsaid(_shown(a, ids[0], alone[0], say), b.run),
            "noted": _shown(b, ids[1], pairs.b[noted], say),
            "same": _shown(b, ids[1], pairs.b[~changed & ~noted], say),
        },
    )


def _tops(version: Version) -> list[str]:
    return [line(name, 40) for name in version.rows.schema.names[:12]]


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
    both: tuple[Version, Version],
    ids: tuple[Ids, Ids],
    pairs: Matches,
    which: Places,
    found: Sequence[Column],
    say: Callable[[Any], str],
) -> Iterator[Changed]:
    changed = {column.name for column in found if column.changed}
    common = [leaf for leaf in both[0].leaves if leaf in both[1].leaves and says(leaf)]
    leaves = [leaf for leaf in common if ".".join(leaf) in changed]
    places = pairs.a[which], pairs.b[which]
    before, after = (
        {leaf: version.some(leaf, at) for leaf in leaves}
        for version, at in zip(both, places, strict=True)
    )
    named = zip(ids[0].of(places[0]), ids[1].of(places[1]), strict=True)
    for i, name in enumerate(named):
        texts = [(leaf, before[leaf][i], after[leaf][i]) for leaf in leaves]
        yield Changed(name, [(".".join(leaf), say(x), say(y)) for leaf, x, y in texts if x != y])


def _shown(
    version: Version, ids: Ids, places: Places, say: Callable[[Any], str]
) -> list[tuple[str, str]]:
    """Return the ids of some rows, and what each asks."""
    some = places[:EXAMPLES]
    return list(zip(ids.of(some), map(say, asked(version, some)), strict=True))


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
