"""diff: what changed from one version of a dataset to another."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gristmill.commands.finding import LOCK, find_finished
from gristmill.commands.screen import Screen
from gristmill.text.plurals import counted

if TYPE_CHECKING:
    from gristmill.publishing.columns import Column
    from gristmill.publishing.diff import Diff
    from gristmill.publishing.versions import Version

COUNTS = ("in", "kept", "lost", "failed")


def do_diff(args: argparse.Namespace, screen: Screen) -> int:
    """Compare two versions; whether they differ is in what it says, not in its exit code."""
    from gristmill.publishing.diff import diff

    found = diff(version(args.a, args.workspace), version(args.b, args.workspace))
    if args.json:
        screen.result(found.as_dict())
        return 0
    for line in _rows(found):
        screen.line(line)
    screen.line()
    screen.table(
        ["column", "type", "filled a", "b", "mean a", "b", "median a", "b", "changed"],
        map(_column, found.columns),
    )
    if found.funnel:
        screen.line()
        heads = [f"{name} {side}" for name in COUNTS for side in "ab"]
        screen.table(["stage", *heads], map(_stage, found.funnel))
        for line in _codes(found.funnel):
            screen.line(line)
    for line in _examples(found):
        screen.line(line)
    return 0


def version(text: str, workspace: Path) -> Version:
    """Open what a person names: a run, a dataset folder, or a dataset on the Hub."""
    from gristmill.publishing.versions import HUB, Version

    if text.startswith(HUB):
        return Version.of_hub(text)
    path = Path(text)
    if path.is_dir() and not (path / LOCK).is_file():
        return Version.of_folder(path)
    return Version.of_run(find_finished(text, workspace))


def compared(other: str, run: Path, workspace: Path) -> Diff:
    """Compare a run with an older version."""
    from gristmill.publishing.diff import diff
    from gristmill.publishing.versions import Version

    return diff(version(other, workspace), Version.of_run(run))


def _rows(found: Diff) -> Iterator[str]:
    for letter, name, n in zip("ab", found.names, found.rows, strict=True):
        yield f"{letter}  {name}: {counted(n)}"
    ways = ", ".join(f"{n:,} by {how}" for how, n in found.matched_by.items() if n)
    yield f"{counted(sum(found.matched_by.values()))} in both{f' ({ways})' if ways else ''}"
    for n, what in (
        (found.same, "the same"),
        (found.noted, "say the same, with other scores or notes"),
        (found.changed, "changed"),
        (found.added, "added"),
        (found.removed, "removed"),
    ):
        yield f"{n:10,} {what}"


def _column(column: Column) -> list[Any]:
    from gristmill.publishing.charts import number
    from gristmill.publishing.escape import line

    a, b = column.facts
    kinds = " -> ".join(dict.fromkeys(kind or "none" for kind in column.types))
    cells: list[Any] = [line(column.name, 60), line(kinds, 40)]
    cells += [fact.filled if fact else None for fact in (a, b)]
    for name in ("mean", "median"):
        told = [getattr(fact, name) if fact else None for fact in (a, b)]
        cells += [None if value is None else number(value) for value in told]
    return [*cells, column.changed]


def _stage(at: dict[str, Any]) -> list[Any]:
    return [at["stage"], *(at[side] and at[side][name] for name in COUNTS for side in "ab")]


def _codes(funnel: list[dict[str, Any]]) -> Iterator[str]:
    for at in funnel:
        a, b = ((at[side] or {}).get("codes", {}) for side in "ab")
        for code in sorted({*a, *b}):
            if a.get(code, 0) != b.get(code, 0):
                yield f"  {at['stage']}: {code} {a.get(code, 0):,} -> {b.get(code, 0):,}"


def _examples(found: Diff) -> Iterator[str]:
    for row in found.examples["changed"]:
        yield f"\nchanged {row.ids[1]}"
        for name, before, after in row.texts:
            yield from (f"  {name} {sign} {text}" for sign, text in (("-", before), ("+", after)))
    for what in ("added", "removed"):
        for row_id, text in found.examples[what]:
            yield f"\n{what} {row_id}\n  {text}"
