"""Redaction: spans of a row's texts that nobody should see, found, counted and masked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from gristmill.text.plurals import listed

FIELDS = ("instruction", "input", "output", "prompt", "chosen", "rejected")
UNSHOWN = ("personal_data", "secret")
"""Reject codes of rows whose texts no card and no report shows."""
Action = Literal["drop", "mask", "flag"]


class Span(NamedTuple):
    """A part of a text, and what it is."""

    kind: str
    start: int
    end: int


Find = Callable[[str], Iterable[Span]]


def spans_of(
    row: Mapping[str, Any], find: Find, may_have: Callable[[str], bool]
) -> list[tuple[str, Span]]:
    """Return what is found in every text of a row, each with the name of its text.

    Most rows have nothing: all their texts are given to `may_have` at once, before any to `find`.
    """
    said, turns = [*map(row.get, FIELDS)], row.get("messages") or ()
    for turn in turns:
        said += (turn.get("content"), turn.get("extra"))
    if not may_have("\n".join(filter(None, said))):
        return []
    texts = [(name, text) for name, text in zip(FIELDS, said, strict=False) if text]
    for i, turn in enumerate(turns):
        texts += [(f"messages.{i}", turn[key]) for key in ("content", "extra") if turn.get(key)]
    return [(name, span) for name, text in texts for span in find(text)]


def told(found: Iterable[tuple[str, Span]]) -> str:
    """Return kinds and places of the first, without the texts: evidence may be published."""
    return listed([f"{span.kind} at {name} {span.start}-{span.end}" for name, span in found])


def counted(found: Iterable[tuple[str, Span]]) -> str:
    """Return how many of every kind there are."""
    counts = Counter(span.kind for _, span in found)
    return ", ".join(f"{kind} {n}" for kind, n in sorted(counts.items()))


def masked(text: str, find: Find) -> str:
    """Return a text with its kind in the place of every span; of overlapping ones the first."""
    parts, end = list[str](), 0
    for span in sorted(find(text), key=lambda span: (span.start, -span.end)):
        if span.start >= end:
            parts += [text[end : span.start], f"[{span.kind.upper()}]"]
            end = span.end
    return "".join([*parts, text[end:]])


def masked_row(row: Mapping[str, Any], find: Find) -> dict[str, Any]:
    """Return the texts of a row, masked; JSON beside a message stays JSON."""
    new: dict[str, Any] = {name: row.get(name) and masked(row[name], find) for name in FIELDS}
    turns = row.get("messages")
    new["messages"] = turns and [
        {
            **turn,
            "content": turn["content"] and masked(turn["content"], find),
            "extra": turn.get("extra") and _masked_json(turn["extra"], find),
        }
        for turn in turns
    ]
    return new


def texts_of_json(text: str) -> Iterator[str]:
    """Yield every text inside JSON, names too; what is no JSON is one."""
    try:
        values = [json.loads(text)]
    except (ValueError, RecursionError):
        values = [text]
    while values:
        value = values.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            values += value
        elif isinstance(value, dict):
            values += [*value, *value.values()]


def _masked_json(text: str, find: Find) -> str:
    try:
        return json.dumps(_inside(json.loads(text), find), ensure_ascii=False)
    except (ValueError, RecursionError):
        return masked(text, find)


def _inside(value: Any, find: Find) -> Any:
    if isinstance(value, str):
        return masked(value, find)
    if isinstance(value, list):
        return [_inside(item, find) for item in value]
    if isinstance(value, dict):
        return {key: _inside(item, find) for key, item in value.items()}
    text = str(value) if type(value) in (int, float) else ""
    return masked(text, find) if any(find(text)) else value
