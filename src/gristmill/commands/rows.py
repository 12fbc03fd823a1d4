"""Rows on a terminal: text from a row is data there too, never a command to the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gristmill.formats.readers import read_malformed
from gristmill.publishing.escape import printable
from gristmill.text.plurals import counted

MAX_LINES, MAX_CHARS = 12, 160
"""Of one column: what a person reads of it in a list of rows."""
MAX_PLACES = 8
"""Malformed lines that are named."""
FIRST = ("instruction", "input", "output", "messages", "prompt", "chosen", "rejected")
LEFT_OUT = ("id", "calls", "parents", "root", "round", "stage")
"""What `trace` is for."""


def row_lines(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that show a row: its id, its texts, then what stages added."""
    yield f"--- {row['id']}"
    names = [name for name in FIRST if name in row]
    names += [name for name in row if name not in (*FIRST, *LEFT_OUT)]
    for name in names:
        if row[name] not in (None, [], "", {}, "{}"):
            yield from _column(name, row[name])


def no_rows(
    places: Sequence[tuple[str, int]], n_files: int, n_lines: int, path: Path | None = None
) -> str:
    """Say how many lines of the input were no rows, and which; `path` is where they are kept."""
    shown = [_place(*place) if n_files > 1 else f"{place[1]}" for place in places]
    which = ", ".join(shown[:MAX_PLACES]) + (", ..." if len(shown) > MAX_PLACES else "")
    is_one = len(places) == 1
    lines = f"{len(places):,} of {counted(n_lines, 'line')}"
    what = f"was no row (line {which})" if is_one else f"were no rows (lines {which})"
    kept = f": {path}" if path else ""
    return f"{lines} {what}{kept}"


def _place(file: str, line: int) -> str:
    return f"{file}:{line}" if line else file


def left_out(run: Path, seeds: Mapping[str, Any]) -> Iterator[str]:
    """Yield that line for a run, if it has malformed lines; `seeds` is its `input`."""
    path = run / "malformed.jsonl"
    if seeds.get("malformed") and path.exists():
        found = read_malformed(path)
        n_lines = seeds.get("lines") or seeds["rows"] + len(found)
        places = [(line["file"], line["line"]) for line in found]
        yield no_rows(places, len(seeds["files"]), n_lines, path)


def _column(name: str, value: Any) -> Iterator[str]:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    lines = printable(text).splitlines() or [""]
    shown = [_cut(line) for line in lines[:MAX_LINES]]
    yield f"{name}: {shown[0]}"
    for line in shown[1:]:
        yield f"    {line}"
    if len(shown) < len(lines):
        yield f"    ... {counted(len(lines) - len(shown), 'more line')}"


def _cut(line: str) -> str:
    return line if len(line) <= MAX_CHARS else f"{line[:MAX_CHARS]}... ({len(line):,} characters)"
