"""Where two nearly equal programs differ, as places in the first: lines, spans, edits.

Source: the two levels of FAIT, arXiv:2503.16913: lines by a sequence matcher, then the tokens in
them. Comments and spaces between tokens are no difference, indentation is. Offsets count characters
of the text as it is, so that tabs and CRLF shift nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

PIECE = re.compile(
    r"(?P<gap>#[^\n]*|[^\S\n]+|\n)|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|\w+|[^\w\s]|."
)
"""Every character is in a piece: rebuilding loses nothing."""


@dataclass(frozen=True)
class Faults:
    """What makes the second program another one than the first."""

    edits: list[tuple[int, int, str]]
    """Spans of the first with what stands there in the second, in order; see `rebuild`."""
    spans: list[tuple[int, int]]
    """Spans of the first, start <= place < end, that a training should heed; merged, in order."""
    lines: list[int]
    """Lines of the first, 0 is the first one, that have a span."""


def faults(correct: str, incorrect: str) -> Faults:
    """Compare two programs; O(n m) for the lines, and for the tokens of lines that differ."""
    ours, theirs = correct.splitlines(keepends=True), incorrect.splitlines(keepends=True)
    starts = [0]
    for line in ours:
        starts.append(starts[-1] + len(line))
    edits = list[tuple[int, int, str]]()
    spans = list[tuple[int, int]]()
    for tag, i, j, k, m in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        if tag != "equal":
            found = list(_edits(correct, starts[i], starts[j], "".join(theirs[k:m])))
            edits += found
            spans += [span for edit in found for span in _heeded(correct, *edit)]
    ends = [start + len(line) for start, line in zip(starts, ours, strict=False)]
    lines = {
        at
        for start, end in spans
        for at in range(_line(ends, start), _line(ends, max(start, end - 1)) + 1)
    }
    return Faults(edits, _merged(spans), sorted(lines))


def rebuild(correct: str, edits: Sequence[tuple[int, int, str]]) -> str:
    """Return the second program."""
    for start, end, text in reversed(edits):
        correct = correct[:start] + text + correct[end:]
    return correct


def token_mask(offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> list[bool]:
    """Say of every token, by its characters, whether it overlaps a span."""
    return [any(s < end and start < e for s, e in spans) for start, end in offsets]


def likeness(one: str, other: str) -> float:
    """Return 1 minus the Levenshtein distance over the longer length, 0..1, 1 for equal texts.

    By bit vectors (Hyyro, "A Bit-Vector Algorithm for Computing Levenshtein and Damerau Edit
    Distances", 2003): O(n m / 64).
    """
    longest = max(len(one), len(other))
    return 1 - _distance(one, other) / longest if longest else 1.0


def _distance(one: str, other: str) -> int:
    if not one:
        return len(other)
    places: dict[str, int] = {}
    for i, char in enumerate(one):
        places[char] = places.get(char, 0) | 1 << i
    full, last = (1 << len(one)) - 1, 1 << len(one) - 1
    more, less, distance = full, 0, len(one)
    for char in other:
        hits = places.get(char, 0)
        zero = (((hits & more) + more) ^ more) | hits | less
        up, down = less | (~(zero | more) & full), more & zero
        distance += bool(up & last) - bool(down & last)
        up, down = (up << 1 | 1) & full, down << 1 & full
        more, less = (down | ~(zero | up)) & full, up & zero
    return distance


def _edits(text: str, start: int, end: int, other: str) -> Iterator[tuple[int, int, str]]:
    ours = [found[0] for found in PIECE.finditer(text, start, end)]
    theirs = [found[0] for found in PIECE.finditer(other)]
    places = [start]
    for piece in ours:
        places.append(places[-1] + len(piece))
    for tag, i, j, k, m in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        if tag != "equal":
            yield places[i], places[j], "".join(theirs[k:m])


def _heeded(text: str, start: int, end: int, other: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of an edit that count; of a pure insertion the tokens on both sides of it."""
    gone = [(m.start(), m.end()) for m in PIECE.finditer(text, start, end) if m.lastgroup != "gap"]
    new = any(m.lastgroup != "gap" for m in PIECE.finditer(other))
    begins = start == 0 or text[start - 1] == "\n"
    blank = not (text[start:end] + other).strip(" \t")
    indents = begins and blank and text[end : end + 1] not in ("", "\n", "\r", "#")
    if gone:
        yield from gone
    elif new or indents:
        tokens = [m.span() for m in PIECE.finditer(text) if m.lastgroup != "gap"]
        at = bisect_left(tokens, (start, start))
        yield from tokens[max(0, at - 1) : at + 1]


def _line(ends: Sequence[int], place: int) -> int:
    return bisect_left(ends, place + 1)


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged = list[tuple[int, int]]()
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
