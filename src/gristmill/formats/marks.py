"""Marks: what a person who reviewed a run said of its rows, kept beside its ledger.

A mark is about a row as it read then: one that says something else by now is not meant. `drop`
takes a row out of the dataset. `keep` overrules the filters that rejected it so far, and nothing
else: the row goes on from there with the verdicts it has, and a later stage may still reject it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from gristmill.errors import InputError
from gristmill.storage.ids import digest
from gristmill.storage.rows import Row, look, put
from gristmill.text.overlaps import CONTAMINATED
from gristmill.text.redaction import UNSHOWN

FILE = "marks.jsonl"
DROPPED = "reviewed"
"""Reject code of rows that a person dropped, at the ledger's line `target`."""
NOTED = "meta.review"
"""Where a row that a person brought back says so."""
FINAL = frozenset({*UNSHOWN, CONTAMINATED})
"""Reject codes that no mark overrules: they protect others than the owner of the run."""
TEXTS = ("instruction", "input", "output", "prompt", "chosen", "rejected")
Says = Literal["keep", "drop"]


@dataclass(frozen=True)
class Mark:
    """What a person said of one row."""

    id: str
    says: Says
    text: str
    """The `text_of` the row that was read."""
    at: tuple[str, ...] = ()
    """The filters whose decisions a `keep` overrules; none for a row that none of them rejected."""
    note: str = ""
    seen: tuple[str, ...] = ()
    """The `text_of` it at earlier marks that brought it back: a filter before them sees that."""


@dataclass(frozen=True)
class Marks:
    """Every mark of a run by the id of its row, the last one only."""

    by_id: Mapping[str, Mark] = field(default_factory=dict)

    @cached_property
    def overruling(self) -> Marks:
        """Those that filters obey: workers get no others."""
        return Marks({i: mark for i, mark in self.by_id.items() if mark.at})

    @property
    def state(self) -> list[list[Any]]:
        """Name those that decide what stages see; nothing where there are none."""
        marks = self.overruling.by_id.values()
        return sorted([mark.id, mark.text, list(mark.at), mark.note, *mark.seen] for mark in marks)

    def note_against(self, row: Row) -> str | None:
        """Return why a person dropped this row; None when nobody did."""
        mark = self._of(row, "drop")
        return mark.note if mark else None

    def count(self, rows: Iterable[Row]) -> int:
        """Return how many rows are left when those are gone that a person dropped."""
        return sum(self.note_against(row) is None for row in rows)

    def bring_back(self, row: Row, at: str, code: str) -> Row | None:
        """Return a row that a filter rejects and a person wants, with a note of that; else None."""
        mark = self._of(row, "keep")
        if not mark or at not in mark.at or code in FINAL:
            return None
        row = dict(row)
        put(row, f"{NOTED}.overruled", {**overruled(row), at: code})
        put(row, f"{NOTED}.note", mark.note)
        return row

    def _of(self, row: Row, says: Says) -> Mark | None:
        mark = self.by_id.get(row["id"])
        is_meant = mark and mark.says == says and text_of(row) in (mark.text, *mark.seen)
        return mark if is_meant else None


def overruled(row: Row) -> dict[str, str]:
    """Return the filters that a person overruled for a row, with the codes that they gave."""
    found: dict[str, str] = look(row, f"{NOTED}.overruled") or {}
    return found


def text_of(row: Row) -> str:
    """Name what a row says: its texts and turns, whether it comes from memory or from a file."""
    turns = [[turn.get("role"), turn.get("content")] for turn in row.get("messages") or ()]
    return digest([row.get(name) or "" for name in TEXTS], turns)


def read(run: Path) -> Marks:
    """Return the marks of a run."""
    path = run / FILE
    return read_file(path) if path.exists() else Marks()


def read_file(path: Path) -> Marks:
    """Return the marks in a file; a last line that was cut by a crash was never a mark.

    Raises:
        InputError: It is not there, or a line is no mark.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}; nobody marked rows there?") from error
    found: dict[str, Mark] = {}
    for number, line in enumerate(lines, 1):
        try:
            told = json.loads(line)
            if told["says"] is None:
                found.pop(told["id"], None)
            else:
                found[told["id"]] = _mark(told)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{path}, line {number}: expected a mark as `build-dataset review` writes it, "
                f"found {line[:80]!r}; take the line out, or bring an older copy of the file back"
            ) from error
    return Marks(found)


def _mark(told: Mapping[str, Any]) -> Mark:
    mark = Mark(**{**told, "at": tuple(told["at"]), "seen": tuple(told.get("seen", ()))})
    if mark.says not in get_args(Says):
        raise ValueError(mark.says)
    return mark


def add(run: Path, marks: Iterable[Mark], gone: Iterable[str] = ()) -> None:
    """Append marks, and that rows have none any more, durably; one process at a time may."""
    lines = [*map(asdict, marks), *({"id": i, "says": None} for i in gone)]
    said = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    with (run / FILE).open("ab+") as out:
        out.seek(0)
        whole = out.read().rfind(b"\n") + 1
        out.truncate(whole)
        out.write(said)
        out.flush()
        os.fsync(out.fileno())
