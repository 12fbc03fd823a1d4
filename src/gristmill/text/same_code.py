"""Same code: Python text in which a known solution stands, whatever its layout, comments and names.

Nothing is parsed as Python: a row's text is prose with code in it, and half of it may be cut off.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterator
from typing import NamedTuple

MIN_TOKENS = 25
"""Tokens of the shortest solution that is evidence. Those of HumanEval and MBPP with 20 stand in
five of 15,781 answers of Alpaca and Code Alpaca (loops that multiply), those with 25 in none."""
SKIP = r"(?P<skip>\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|\#[^\n]*|\\\r?\n)"
STRING = r"{0}(?:\\.|[^{0}\\\n])*+(?:{0}(?P<string{1}>)|(?P<open{1}>))"
"""A string of one line, or what is left of the line where it has no end."""
OTHER = r"(?P<name>[^\W\d]\w*)|(?P<other>\d[\w.]*|[^\s\w])"
LEXEMES = {
    quotes: re.compile("|".join([SKIP, *(STRING.format(q, ord(q)) for q in quotes), OTHER]))
    for quotes in ("\"'", '"', "'", "")
}
"""By the quotes that open a string."""
FIXED = frozenset({*keyword.kwlist, *dir(builtins)})
NAME = "\0"
"""Stands in a shape for a name that the writer chose."""


class Code(NamedTuple):
    """Text as tokens, without comments, docstrings and layout."""

    texts: list[str]
    shapes: list[str]
    """The same, with `NAME` for chosen names."""


def lex(text: str) -> Code:
    """Return the tokens of a text; a quote or letter of prose is a token as any other."""
    texts, shapes = list[str](), list[str]()
    for found in _lexemes(text):
        kind, token = str(found.lastgroup), found[0]
        if kind == "skip":
            continue
        if kind.startswith("string"):
            token = f"'{token[1:-1]}'"
        chosen = kind == "name" and token not in FIXED and (not texts or texts[-1] != ".")
        texts.append(token)
        shapes.append(NAME if chosen else token)
    return Code(texts, shapes)


def _lexemes(text: str) -> Iterator[re.Match[str]]:
    """Yield what stands there, O(n): where a quote has no end, no later one of the line has."""
    at, ends = 0, {'"': 0, "'": 0}
    while found := LEXEMES["".join(q for q in ends if at >= ends[q])].search(text, at):
        if any(at < end <= found.start() for end in ends.values()):
            at = found.start()
        elif (found.lastgroup or "").startswith("open"):
            at, ends[found[0][0]] = found.start(), found.end()
        else:
            yield found
            at = found.end()


def is_evidence(solution: str) -> bool:
    """Say whether a solution is long enough to be nobody else's by chance."""
    return len(lex(solution).texts) >= MIN_TOKENS


class Solutions:
    """Solutions by the shapes that they begin with."""

    def __init__(self) -> None:
        self.by_start: dict[str, list[tuple[int, Code]]] = {}
        self.marks: set[str] | None = None
        """Tokens of all solutions: a text without one of them is not looked at, as most prose."""

    def add(self, place: int, text: str) -> None:
        """Remember a solution, if it is evidence."""
        if is_evidence(text):
            code = lex(text)
            start = " ".join(code.shapes[:MIN_TOKENS])
            self.by_start.setdefault(start, []).append((place, code))
            marks = {shape for shape in code.shapes if shape != NAME and shape[0] != "'"}
            self.marks = marks if self.marks is None else self.marks & marks

    def find(self, text: str) -> tuple[int, str] | None:
        """Return the first solution that stands in a text as a whole, and how it begins there."""
        if self.marks is None or not all(mark in text for mark in self.marks):
            return None
        code = lex(text)
        for i in range(len(code.texts) - MIN_TOKENS + 1):
            start = " ".join(code.shapes[i : i + MIN_TOKENS])
            for place, known in self.by_start.get(start, ()):
                if _same(known, code, i):
                    return place, " ".join(code.texts[i : i + MIN_TOKENS])
        return None


def _same(known: Code, code: Code, start: int) -> bool:
    """Say whether tokens are the same from a place on, each name always for the same other."""
    end = start + len(known.texts)
    if known.shapes != code.shapes[start:end]:
        return False
    pairs = set(zip(known.texts, code.texts[start:end], strict=True))
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
