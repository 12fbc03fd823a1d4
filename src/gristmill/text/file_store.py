"""Files that a model writes step by step, and prompts about them that stay within a budget."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from gristmill.text.code_files import files_in
from gristmill.text.fences import fold_fences

READ = re.compile(r"(?m)^READ:[ \t]*(\S.*)$")
DONE = re.compile(r"(?m)^DONE:[ \t]*(\S.*)$")
MAX_CHARS = 100_000
"""Of all files."""
CUT = "\n... (cut)"


class Action(NamedTuple):
    """What a turn does: read files, write them, or end the step with a summary."""

    kind: Literal["read", "write", "done"]
    names: tuple[str, ...] = ()
    files: Mapping[str, str] = {}
    summary: str = ""


def action_of(reply: str, files: Mapping[str, str]) -> Action | None:
    """Return the one thing that a reply does; None where it is none, or more than one.

    A file whose name is absolute, hidden or leads upwards makes all of a reply none, and so does a
    write after which all files are too large.
    """
    prose = fold_fences(reply)
    reads, ends, new = READ.findall(prose), DONE.findall(prose), files_in(reply)
    if "block" in prose.splitlines() and new is None:
        return None
    if len(reads) + len(ends) + (new is not None) != 1:
        return None
    if new:
        size = sum(map(len, {**files, **new}.values()))
        return Action("write", files=new) if size <= MAX_CHARS else None
    if reads:
        return Action("read", tuple(reads[0].replace(",", " ").split()))
    return Action("done", summary=ends[0].strip())


def listing(files: Mapping[str, str]) -> str:
    """Return the names of files, with their sizes."""
    lines = (f"{name} ({len(text)} characters)" for name, text in sorted(files.items()))
    return "\n".join(lines) or "(none yet)"


def shown(files: Mapping[str, str], names: tuple[str, ...]) -> str:
    """Return the texts of files."""
    return "\n\n".join(f"### {name}\n{files.get(name, '(no such file)')}" for name in names)


def within(budget: int, template: str, **parts: str) -> str:
    """Fill a template; each part gets at most an equal share of the characters that are left.

    What a part does not need the parts after it may use. The result has at most `budget`
    characters, where the template alone has not more.
    """
    left = budget - len(template.format(**dict.fromkeys(parts, "")))
    fitted = {}
    for i, (name, text) in enumerate(sorted(parts.items(), key=lambda part: len(part[1]))):
        share = max(0, left // (len(parts) - i))
        if len(text) > share:
            text = (text[: max(0, share - len(CUT))] + CUT)[:share]
        fitted[name] = text
        left -= len(text)
    return template.format(**fitted)
