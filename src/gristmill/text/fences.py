"""Fenced blocks in a model's reply: found by rule, never guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass

OPENING = re.compile(r"^( {0,3})(`{3,}|~{3,})[ \t]*([^\s`]*)[^`\n]*$")
CLOSING = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*$")
TICKS = re.compile(r"(?m)^ {0,3}(`{3,})")
LANGUAGES = {
    "python": {"", "python", "python3", "py"},
    "cpp": {"", "cpp", "c++", "cc", "cxx"},
    "javascript": {"", "javascript", "js", "node"},
    "bash": {"", "bash", "sh", "shell"},
    "sql": {"", "sql", "sqlite", "sqlite3"},
    "verilog": {"", "verilog", "v", "systemverilog", "sv"},
    "csharp": {"", "csharp", "c#", "cs"},
}
"""What blocks of each language call themselves, if they say anything."""


def language_of(name: str) -> str:
    """Return the usual name of a language: `cpp` of "C++ "; of one that is not known its own."""
    bare = name.strip().lower()
    return next((usual for usual, names in LANGUAGES.items() if bare and bare in names), bare)


def fenced(code: str, language: str = "python") -> str:
    """Return code as a block that `fences` reads back, whatever ticks the code has."""
    mark = "`" * max([3, *(len(ticks) + 1 for ticks in TICKS.findall(code))])
    return f"{mark}{language}\n{code}\n{mark}"


@dataclass(frozen=True, slots=True)
class Fence:
    """One closed block: its language in lower case ("" when not given) and its text."""

    language: str
    text: str


def fences(text: str) -> list[Fence] | None:
    """Return the fenced blocks in order; None when the last one is never closed.

    As in CommonMark: a block ends at a line of at least as many marks and nothing else, indented by
    three spaces at most, and its lines lose as much indent as its opening has.
    """
    if not _may_have_blocks(text):
        return []
    found: list[Fence] = []
    indent, mark, language, lines = "", "", "", list[str]()
    # Not splitlines: a form feed or U+2028 inside a string of the code ends no line.
    for line in text.replace("\r\n", "\n").split("\n"):
        if mark:
            if _closes(line, mark):
                found.append(Fence(language, "\n".join(lines)))
                mark = ""
            else:
                cut = min(len(indent), len(line) - len(line.lstrip(" ")))
                lines.append(line[cut:])
        elif opening := OPENING.match(line):
            indent, mark, language, lines = opening[1], opening[2], opening[3].lower(), []
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
            mark, start = opening[2], len(lines) - 1
    return "\n".join(lines)


def _may_have_blocks(text: str) -> bool:
    return "```" in text or "~~~" in text


def _closes(line: str, mark: str) -> bool:
    closing = CLOSING.match(line)
    return bool(closing and closing[1].startswith(mark))


def python_code(text: str) -> str | None:
    """Return all Python blocks joined by a blank line; None without one, or with one left open."""
    return code_in("python", text)


def code_in(language: str, text: str) -> str | None:
    """Return all blocks of a language as `python_code` does those of Python."""
    blocks = [f.text for f in fences(text) or () if f.language in LANGUAGES[language]]
    return "\n\n".join(blocks) if blocks else None
