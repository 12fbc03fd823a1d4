"""Rows on a terminal: text from a row is data there too, never a command to the terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

MAX_LINES, MAX_CHARS = 12, 160
"""Of one column: what a person reads of it in a list of rows."""
FIRST = ("instruction", "input", "output", "messages", "prompt", "chosen", "rejected")
LAST = ("calls", "parents", "root", "round", "stage")
CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours and cursor movements
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # titles, links, clipboard
    r"|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)


def clean(text: str) -> str:
    """Take out of a text what a terminal would obey: escape sequences, control characters."""
    return CONTROL.sub("", text.replace("\r\n", "\n"))


def row_lines(row: Mapping[str, Any], *, whole: bool = False) -> Iterator[str]:
    """Yield the lines that show a row: its id, its texts, then what stages added."""
    yield f"--- {row['id']}"
    names = [name for name in FIRST if name in row]
    names += [name for name in row if name not in (*FIRST, *LAST, "id")]
    for name in names + [name for name in LAST if whole and name in row]:
        if row[name] not in (None, [], "", {}, "{}"):
            yield from _column(name, row[name], whole=whole)


def _column(name: str, value: Any, *, whole: bool) -> Iterator[str]:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    lines = clean(text).splitlines() or [""]
    shown = lines if whole else [_cut(line) for line in lines[:MAX_LINES]]
    yield f"{name}: {shown[0]}"
    for line in shown[1:]:
        yield f"    {line}"
    if len(shown) < len(lines):
        yield f"    ... {len(lines) - len(shown)} more lines"


def _cut(line: str) -> str:
    return line if len(line) <= MAX_CHARS else f"{line[:MAX_CHARS]}... ({len(line):,} characters)"
