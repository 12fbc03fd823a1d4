"""Sentences: where a text may be cut, and how many there are."""

from __future__ import annotations

import re

END = re.compile(r"(?<![.!?\u2026])[.!?\u2026]++[\"'\u201d\u2019)\]]*+(?=\s|$)|\n\s*\n")
"""The end of a sentence: marks before a space, or an empty line. 3.5 and e.g. end none inside."""


def sentence_ends(text: str) -> list[int]:
    """Return the places behind every sentence, in order; the end of the text is one of them."""
    ends = [found.end() for found in END.finditer(text)]
    if text[ends[-1] if ends else 0 :].strip():
        ends.append(len(text))
    return ends


def count_sentences(text: str) -> int:
    """Count the sentences that have a letter or digit in them."""
    ends = sentence_ends(text)
    return sum(
        any(sign.isalnum() for sign in text[start:end])
        for start, end in zip([0, *ends], ends, strict=False)
    )


def first_sentence(text: str) -> str:
    """Return a reply up to its first full stop or the end of its first line."""
    text = text.strip().split("\n", 1)[0]
    return text[: next(iter(sentence_ends(text)), 0)].strip()
