"""Where a wrong program differs from the right one that it is like: lines, tokens, characters.

Source: Fan et al., "Fait: Fault-Aware Fine-Tuning for Better Code Generation", arXiv:2503.16913,
section 3. The weights during training are not published; those here are our own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import TypedDict

TOKEN = re.compile(r"\w+|[^\S\n]+|\n|[^\w\s]")
"""A word, a run of blanks, the end of a line or a sign; together they are the text."""


class Edit(TypedDict):
    """Characters `start` to `end` of the right program become `text`."""

    start: int
    end: int
    text: str


def edits(right: str, wrong: str) -> list[Edit]:
    """Return what makes the wrong program of the right one, from its start to its end.

    Lines are aligned first, then the tokens of lines that differ. O(n^2) at worst.
    """
    before, after = right.splitlines(keepends=True), wrong.splitlines(keepends=True)
    places = _starts(before)
    found: list[Edit] = []
    for tag, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            old, new = TOKEN.findall("".join(before[i:j])), TOKEN.findall("".join(after[k:m]))
            inner = [places[i] + start for start in _starts(old)]
            for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
                if kind != "equal":
                    found.append({"start": inner[a], "end": inner[b], "text": "".join(new[c:d])})
    return found


def apply(right: str, changes: Sequence[Edit]) -> str:
    """Return the wrong program, byte for byte."""
    for change in reversed(changes):
        right = right[: change["start"]] + change["text"] + right[change["end"] :]
    return right


def line_mask(right: str, wrong: str) -> list[bool]:
    """Say of each line of the right program whether it is replaced or deleted."""
    before, after = right.splitlines(keepends=True), wrong.splitlines(keepends=True)
    found = [False] * len(before)
    for tag, i, j, _, _ in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag in ("replace", "delete"):
            found[i:j] = [True] * (j - i)
    return found


def spans(right: str, changes: Sequence[Edit]) -> list[tuple[int, int]]:
    """Return the characters (start, end) of the right program that matter, merged, in order.

    Where the wrong program only has more, they are the words or signs on both sides of it.
    """
    found = []
    words = [t.span() for t in TOKEN.finditer(right) if t[0].strip()]
    for change in changes:
        start, end = change["start"], change["end"]
        if right[start:end].strip():
            found.append((start, end))
        else:
            found += [span for span in words if span[1] <= start][-1:]
            found += [span for span in words if span[0] >= end][:1]
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if merged and start <= merged[-1][1]:
            start, end = merged[-1][0], max(end, merged.pop()[1])
        merged.append((start, end))
    return merged


def token_mask(
    offsets: Sequence[tuple[int, int]], sensitive: Sequence[tuple[int, int]]
) -> list[bool]:
    """Say of each token of a tokenizer, given its characters, whether it overlaps a span."""
    return [any(start < e and s < end for s, e in sensitive) for start, end in offsets]


def weight(lp_right: float, lp_wrong: float, scale: float = 1.0) -> float:
    """Return the loss weight of a sensitive token, 1 to 1 + scale; others weigh 1.

    The arguments are mean log-probabilities of the two segments. A model that prefers the wrong
    one gets the greater weight: `1 + scale * (1 - sigmoid(lp_right - lp_wrong))`.
    """
    gap = max(-700.0, min(700.0, lp_right - lp_wrong))
    return 1.0 + scale / (1.0 + math.exp(gap))


def similarity(a: str, b: str) -> float:
    """Return 1 minus the Levenshtein distance over the longer length: 0..1, 1 for equal texts.

    By bit vectors (Hyyro, 2003): O(len(a) * len(b) / 64).
    """
    longest = max(len(a), len(b))
    return 1.0 - _distance(a, b) / longest if longest else 1.0


def _distance(a: str, b: str) -> int:
    places: dict[str, int] = {}
    for i, letter in enumerate(a):
        places[letter] = places.get(letter, 0) | 1 << i
    full, last = (1 << len(a)) - 1, 1 << len(a) - 1 if a else 0
    more, less, distance = full, 0, len(a)
    if not a:
        return len(b)
    for letter in b:
        hits = places.get(letter, 0)
        zero = (((hits & more) + more) ^ more) | hits | less
        up, down = less | ~(zero | more) & full, more & zero
        distance += bool(up & last) - bool(down & last)
        up = (up << 1 | 1) & full
        down = down << 1 & full
        more, less = (down | ~(zero | up)) & full, up & zero
    return distance


def _starts(parts: Sequence[str]) -> list[int]:
    """Return where each part begins, and where the last one ends."""
    found = [0]
    for part in parts:
        found.append(found[-1] + len(part))
    return found
