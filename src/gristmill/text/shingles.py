"""Shingles: the overlapping pieces of a text that near-duplicates share."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+|[-+*/=<>^%$#@&|~\\{}\[\]_]")
"""A word, or a sign that changes what code or a formula means; scripts written without spaces
count by character. Other punctuation rarely tells two texts apart."""
END = ".,;:!?\u2026\u3002 \"'`"


def same(text: str) -> str:
    """Return a text as duplicates share it: without case, spacing and punctuation at its ends."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return folded.strip(END) or folded


def word_shingles(text: str, n: int) -> Iterator[str]:
    """Yield the runs of n words; a text with fewer words is one run."""
    words = TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())
    for i in range(max(len(words) - n + 1, bool(words))):
        yield " ".join(words[i : i + n])


def char_shingles(text: str, n: int) -> Iterator[str]:
    """Yield the runs of n characters, case and spacing aside; a shorter text is one run."""
    chars = same(text)
    for i in range(max(len(chars) - n + 1, bool(chars))):
        yield chars[i : i + n]
