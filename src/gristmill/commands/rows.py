"""Rows on a terminal: text from a row is data there too, never a command to the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from gristmill.publishing.escape import printable

MAX_LINES, MAX_CHARS = 12, 160
"""Of one column: what a person reads of it in a list of rows."""
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


def _column(name: str, value: Any) -> Iterator[str]:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    lines = printable(text).splitlines() or [""]
    shown = [_cut(line) for line in lines[:MAX_LINES]]
    yield f"{name}: {shown[0]}"
    for line in shown[1:]:
        yield f"    {line}"
    if len(shown) < len(lines):
        yield f"    ... {len(lines) - len(shown)} more lines"


def _cut(line: str) -> str:
    return line if len(line) <= MAX_CHARS else f"{line[:MAX_CHARS]}... ({len(line):,} characters)"
