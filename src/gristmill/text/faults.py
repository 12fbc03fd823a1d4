"""Where two nearly equal programs differ, as places in the first: lines, spans, edits.

Source: the two levels of FAIT, arXiv:2503.16913: lines, then the tokens in those that differ.
Comments and spaces between tokens are no difference, indentation is. Offsets count characters of
the text as it is, so that tabs and CRLF shift nothing.
Differs from the paper: both levels by a longest common subsequence. The matcher of `difflib` takes
cubic time where lines are alike: minutes for two programs of 400 lines.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

GAP, TOKEN = r"(?P<gap>#[^\n]*|[^\S\n]+|\n)", r"\w+|[^\w\s]|."
QUOTED = r"{0}(?:\\.|[^{0}\\\n])*+(?:{0}|(?P<open{1}>\\?))"
"""A string of one line, or what is left of the line where it has no end."""
PIECES = {
    quotes: re.compile("|".join([GAP, *(QUOTED.format(q, ord(q)) for q in quotes), TOKEN]))
    for quotes in ("\"'", '"', "'", "")
}
"""Every character is in a piece: rebuilding loses nothing. By the quotes that open a string."""
MAX_CELLS = 1_000_000_000
"""Pairs of pieces that are compared, 125 MB of bits; of more pieces all are replaced."""

Change = tuple[int, int, int, int]


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
    """Compare two programs; O(n m / 64) for lines, and for the tokens of lines that differ."""
    ours, theirs = correct.splitlines(keepends=True), incorrect.splitlines(keepends=True)
    starts = [0]
    for line in ours:
        starts.append(starts[-1] + len(line))
    edits = list[tuple[int, int, str]]()
    spans = list[tuple[int, int]]()
    tokens = _tokens(correct, 0, len(correct))
    for i, j, k, m in changes(ours, theirs):
        found = list(_edits(correct, starts[i], starts[j], "".join(theirs[k:m])))
        edits += found
        spans += [span for edit in found for span in _heeded(correct, tokens, *edit)]
    ends = [start + len(line) for start, line in zip(starts, ours, strict=False)]
    lines = {
        at
        for start, end in spans
        for at in range(_line(ends, start), _line(ends, max(start, end - 1)) + 1)
    }
    return Faults(edits, _merged(spans), sorted(lines))


def rebuild(correct: str, edits: Sequence[tuple[int, int, str]]) -> str:
    """Return the second program."""
    parts, at = list[str](), 0
    for start, end, text in edits:
        parts += [correct[at:start], text]
        at = end
    return "".join([*parts, correct[at:]])


def token_mask(offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> list[bool]:
    """Say of every token, by its characters, whether it overlaps a span."""
    merged = _merged(list(spans))
    ends = [end for _, end in merged]
    places = (bisect_right(ends, start) for start, _ in offsets)
    near = (merged[place : place + 1] for place in places)
    return [any(s < end for s, _ in some) for (_, end), some in zip(offsets, near, strict=True)]


def likeness(one: str, other: str) -> float:
    """Return 1 minus the Levenshtein distance over the longer length, 0..1, 1 for equal texts.

    O(n m / 64): 0.4 s for two texts of 100,000 characters that have little in common.
    """
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.normalized_similarity(one, other)


def pieces(text: str, start: int, end: int, quotes: str = "\"'") -> Iterator[re.Match[str]]:
    """Yield the pieces of a text, O(n). A quote that nothing closes is a piece of its own.

    What was looked through for an end of a string has none for the same quotes in it either.
    """
    for found in PIECES[quotes].finditer(text, start, end):
        if (found.lastgroup or "").startswith("open"):
            yield from pieces(text, *found.span(), quotes.replace(found[0][0], ""))
        else:
            yield found


def changes(ours: Sequence[Hashable], theirs: Sequence[Hashable]) -> list[Change]:
    """Return i, j, k, m where `ours[i:j]` becomes `theirs[k:m]`, in order; O(n m / 64)."""
    from rapidfuzz.distance import Indel

    if len(ours) * len(theirs) > MAX_CELLS:
        return [(0, len(ours), 0, len(theirs))]
    known: dict[Hashable, int] = {}
    one, other = ([known.setdefault(x, len(known)) for x in some] for some in (ours, theirs))
    made = list[Change]()
    for part in Indel.opcodes(one, other):
        if part.tag != "equal":
            i, k = part.src_start, part.dest_start
            if made and made[-1][1::2] == (i, k):
                i, _, k, _ = made.pop()
            made.append((i, part.src_end, k, part.dest_end))
    return made


def _edits(text: str, start: int, end: int, other: str) -> Iterator[tuple[int, int, str]]:
    ours = [found[0] for found in pieces(text, start, end)]
    theirs = [found[0] for found in pieces(other, 0, len(other))]
    places = [start]
    for piece in ours:
        places.append(places[-1] + len(piece))
    for i, j, k, m in changes(ours, theirs):
        yield places[i], places[j], "".join(theirs[k:m])


def _heeded(
    text: str, tokens: Sequence[tuple[int, int]], start: int, end: int, other: str
) -> Iterator[tuple[int, int]]:
    """Yield the spans of an edit that count; of a pure insertion the tokens on both sides of it."""
    gone, new = _tokens(text, start, end), _tokens(other, 0, len(other))
    begins = start == 0 or text[start - 1] == "\n"
    blank = not (text[start:end] + other).strip(" \t")
    indents = begins and blank and text[end : end + 1] not in ("", "\n", "\r", "#")
    if gone:
        yield from gone
    elif new or indents:
        at = bisect_left(tokens, (start, start))
        yield from tokens[max(0, at - 1) : at + 1]


def _tokens(text: str, start: int, end: int) -> list[tuple[int, int]]:
    return [found.span() for found in pieces(text, start, end) if found.lastgroup != "gap"]


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
