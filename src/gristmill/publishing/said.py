"""What a row says, by name: its conversation, its texts, or whatever columns it has instead."""

from __future__ import annotations

from collections.abc import Iterator

from gristmill.formats.lines import is_more
from gristmill.storage.rows import CONTENT, END, STRUCTS, SYSTEM, Row
from gristmill.text.chat import exchange

TEXTS = ("instruction", "input", "output", "prompt", "chosen", "rejected")


def texts(row: Row) -> Iterator[tuple[str, str]]:
    """Give the texts of a row with their names: its conversation, then what else it says."""
    yield from turns_of(row)
    yield from own_texts(row)


def turns_of(row: Row) -> list[tuple[str, str]]:
    """Return what every turn says and carries, by its role; none where the row's texts say it all.

    Turns that a stage has written otherwise since, as the row's texts, are not what it says now.
    """
    turns = row.get("messages") or []
    if any(map(row.get, TEXTS)):
        asked_and_answered = row.get("instruction"), row.get("output")
        is_meant = row.get("chosen") or exchange(turns) == asked_and_answered
        if not is_meant or not is_more(turns):
            return []
    return [
        (turn["role"], "\n".join(filter(None, (turn["content"], turn.get("extra")))))
        for turn in turns
    ]


def own_texts(row: Row) -> Iterator[tuple[str, str]]:
    """Give the texts of a row that are in no turn; of one without texts and turns, its columns."""
    turns = turns_of(row)
    inside = ("instruction", "output") if turns and not row.get("chosen") else ()
    names = [name for name in TEXTS if row.get(name) and name not in inside]
    if not names and not turns:
        own = {*SYSTEM, *CONTENT, *STRUCTS, *END, "meta", "calls", "unit"}
        names = [n for n, value in row.items() if n not in own and isinstance(value, str) and value]
    yield from ((name, row[name]) for name in names)
