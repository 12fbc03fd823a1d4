"""What a command writes: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any, TextIO

from gristmill.publishing.escape import escaped, printable


@dataclass(frozen=True)
class Screen:
    """Where a command writes. Text from rows, names and servers commands no terminal."""

    out: TextIO
    """The real stdout. Engines print too: what they print goes to stderr."""
    err: TextIO
    json: bool = False
    quiet: bool = False

    def line(self, text: str = "") -> None:
        """Write a line of the result for a person; with `--json` it goes to stderr."""
        if not self.json:
            self.out.write(printable(text) + "\n")
        else:
            self.note(text)

    def hint(self, text: str) -> None:
        """Write a line that is no result, such as what to do next."""
        if not self.quiet:
            self.line(text)

    def note(self, text: str) -> None:
        """Write a line about the work to stderr."""
        if not self.quiet:
            self.err.write(printable(text) + "\n")

    def result(self, data: Any) -> None:
        """Write the one JSON object that `--json` promises, on one line."""
        self.out.write(escaped(json.dumps(data, ensure_ascii=False, default=str)) + "\n")
        self.out.flush()

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write aligned columns, numbers to the right."""
        for text in aligned(heads, rows):
            self.line(text)


@contextmanager
def opened(*, json_lines: bool, quiet: bool) -> Iterator[Screen]:
    """Keep the real stdout for the command alone, also against what C code prints."""
    sys.stdout.flush()
    try:
        is_real = sys.stdout.fileno() == 1
    except (OSError, ValueError):
        is_real = False
    real = sys.stdout
    if not is_real:
        with redirect_stdout(sys.stderr):
            yield Screen(real, sys.stderr, json_lines, quiet)
        return
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w", encoding="utf-8", errors="replace") as out:
            yield Screen(out, sys.stderr, json_lines, quiet)
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def aligned(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield the lines of a table, numbers to the right."""
    body = [[_cell(value) for value in row] for row in rows]
    right = [
        bool(body)
        and all(row[i] == "-" or row[i].replace(",", "").replace(".", "").isdigit() for row in body)
        for i in range(len(heads))
    ]
    widths = [max(len(row[i]) for row in [list(heads), *body]) for i in range(len(heads))]
    for row in [list(heads), *body]:
        cells = [
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        ]
        yield "  ".join(cells).rstrip()


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
