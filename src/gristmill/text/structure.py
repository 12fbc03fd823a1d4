"""Structure: closed code blocks, tables and elements, which repeat themselves by their nature."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import groupby

from gristmill.text.fences import fold_fences

EMPTY = re.compile(
    r"<(?:!|(?:area|base|br|col|hr|img|input|link|meta|source|wbr)\b)[^<>]*+>|<\w[^<>]*/>", re.I
)
"""Tags that no other closes."""
ELEMENT = re.compile(r"<([a-z][\w:-]*+)[^<>]*+>([^<]*+)</\1\s*>", re.I)
"""An element without others in it."""
FOLDED = re.compile(r"\w+\0")
DIGITS = re.compile(r"\d+")
MAX_DEPTH = 40
MAX_ROWS = 20
"""Rows of a table from which on it is one only while more than every third is another, whatever its
numbers are."""


def fold(text: str, repeats: Callable[[str], object]) -> str:
    """Return a text with every closed block, table and element as one word.

    What was cut off stays as it is, and so does an element whose own words repeat: a model that
    loops hardly ever closes what it opened.
    """

    def element(found: re.Match[str]) -> str:
        return found[0] if repeats(FOLDED.sub(" ", found[2])) else f" {found[1]}\0 "

    text = EMPTY.sub(" ", _fold_tables(fold_fences(text)))
    for _ in range(MAX_DEPTH):
        folded = ELEMENT.sub(element, text)
        if folded == text:
            break
        text = folded
    return text


def _fold_tables(text: str) -> str:
    """Return a text with its whole Markdown tables as a word each."""
    lines: list[str] = []
    for has_cells, group in groupby(text.split("\n"), lambda line: "|" in line):
        found = list(group)
        lines += ["table"] if has_cells and _is_table(found) else found
    return "\n".join(lines)


def _is_table(lines: list[str]) -> bool:
    widths = {line.strip().strip("|").count("|") for line in lines}
    if (
        len(lines) < 3
        or len(widths) > 1
        or not set(lines[1]) <= set("|:- \t")
        or "-" not in lines[1]
    ):
        return False
    return len(lines) < MAX_ROWS or len({DIGITS.sub("0", line) for line in lines}) * 3 > len(lines)
