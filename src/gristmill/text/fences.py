"""Fenced blocks in a model's reply: found by rule, never guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass

OPENING = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)[^`\n]*$")
LANGUAGES = {
    "python": {"", "python", "python3", "py"},
    "cpp": {"", "cpp", "c++", "cc", "cxx"},
    "javascript": {"", "javascript", "js", "node"},
    "bash": {"", "bash", "sh", "shell"},
    "sql": {"", "sql", "sqlite", "sqlite3"},
    "verilog": {"", "verilog", "v", "systemverilog", "sv"},
}
"""What blocks of each language call themselves, if they say anything."""


@dataclass(frozen=True, slots=True)
class Fence:
    """One closed block: its language in lower case ("" when not given) and its text."""

    language: str
    text: str


def fences(text: str) -> list[Fence] | None:
    """Return the fenced blocks in order; None when the last one is never closed."""
    if not _may_have_blocks(text):
        return []
    found: list[Fence] = []
    mark, language, lines = "", "", list[str]()
    # Not splitlines: a form feed or U+2028 inside a string of the code ends no line.
    for line in text.replace("\r\n", "\n").split("\n"):
        if mark:
            if _closes(line, mark):
                found.append(Fence(language, "\n".join(lines)))
                mark = ""
            else:
                lines.append(line)
        elif opening := OPENING.match(line):
            mark, language, lines = opening[1], opening[2].lower(), []
    return None if mark else found


def fold_fences(text: str) -> str:
    """Return a text with every closed block as one line that says that there is one."""
    if not _may_have_blocks(text):
        return text
    lines, mark, start = list[str](), "", 0
    for line in text.split("\n"):
        lines.append(line)
        if mark:
            if _closes(line, mark):
                lines[start:], mark = ["block"], ""
        elif opening := OPENING.match(line):
            mark, start = opening[1], len(lines) - 1
    return "\n".join(lines)


def _may_have_blocks(text: str) -> bool:
    return "```" in text or "~~~" in text


def _closes(line: str, mark: str) -> bool:
    bare = line.strip()
    return bool(bare) and set(bare) == {mark[0]} and len(bare) >= len(mark)


def python_code(text: str) -> str | None:
    """Return all Python blocks joined by a blank line; None without one, or with one left open."""
    return code_in("python", text)


def code_in(language: str, text: str) -> str | None:
    """Return all blocks of a language as `python_code` does those of Python."""
    blocks = [f.text for f in fences(text) or () if f.language in LANGUAGES[language]]
    return "\n\n".join(blocks) if blocks else None
