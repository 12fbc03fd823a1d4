"""Fenced blocks in a model's reply: found by rule, never guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass

OPENING = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)[^`\n]*$")
PYTHON = frozenset({"", "python", "python3", "py"})


@dataclass(frozen=True, slots=True)
class Fence:
    """One closed block: its language in lower case ("" when not given) and its text."""

    language: str
    text: str


def fences(text: str) -> list[Fence] | None:
    """Return the fenced blocks in order; None when the last one is never closed."""
    found: list[Fence] = []
    mark, language, lines = "", "", list[str]()
    # Not splitlines: a form feed or U+2028 inside a string of the code ends no line.
    for line in text.replace("\r\n", "\n").split("\n"):
        if mark:
            bare = line.strip()
            if bare and set(bare) == {mark[0]} and len(bare) >= len(mark):
                found.append(Fence(language, "\n".join(lines)))
                mark = ""
            else:
                lines.append(line)
        elif opening := OPENING.match(line):
            mark, language, lines = opening[1], opening[2].lower(), []
    return None if mark else found


def python_code(text: str) -> str | None:
    """Return all Python blocks joined by a blank line; None without one, or with one left open."""
    blocks = [f.text for f in fences(text) or () if f.language in PYTHON]
    return "\n\n".join(blocks) if blocks else None
