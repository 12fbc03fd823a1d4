"""Loops: answers that say the same again and again, or only count on.

Tuned as `detectors.py` says.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from dataclasses import dataclass

from gristmill.text.counting import COUNTED, counting, has_numbers
from gristmill.text.structure import fold
from gristmill.text.words import SPACED, words

MIN_DISTINCT = 0.3
"""Share of different runs of four words under which a text loops: 240 of 252 answers of a base
model that does, 2 of 15,781 of instruction-tuned ones. At 0.5 tables and code count as well."""
MIN_LOOP_WORDS = 20
"""A shorter text has too few runs to say."""
MIN_ZLIB = 0.15
"""Compressed size by size under which a text loops."""
MIN_ZLIB_CHARS = 300
"""A shorter text never compresses that far."""
WORD_BYTES = 2
"""Compressed size of a word that did not come before, at least: 2.5 in 26,787 real texts, 3.7 in
those of them that loop; less only where somebody counts in long numbers of 0 and 1. Where the
words of a text alone take more, it need not be compressed."""
ADDRESSES = 8
"""Times from which on one address is a loop: of 316,880 real texts one has any five times, a base
model's, and it stands there nineteen times. What counts in front of them need not go far."""
READ = 200_000
"""Characters of a text that are looked at: a loop is one long before."""
SHORT = 2 * MIN_LOOP_WORDS - 1
"""Characters below which a text has neither so many words nor, in bytes, so much to compress."""

HEADER = 32
"""Bytes by which half of a text may take more than the whole: how its letters are coded."""
SMALL = 2000
"""Bytes up to which a window of 4,096 leaves nothing out."""
CUT = SPACED.ljust(256)
ADDRESS = re.compile(r"\b[a-z]+://\S+", re.I)


@dataclass(frozen=True, slots=True)
class Loop:
    """What makes a loop of a text; called with one, it says what."""

    min_distinct: float = MIN_DISTINCT
    min_zlib: float = MIN_ZLIB
    ngram: int = 4
    same_lines: int = 0
    """Times that a line comes before it is a loop; 0 for any."""
    counted: int = COUNTED
    """Steps from which on numbers that count between the same words are a loop; 0 for any."""
    addresses: int = ADDRESSES
    """Times that an address comes before it is a loop; 0 for any."""

    def __call__(self, text: str) -> str | None:
        """Find a text that repeats itself, other than code blocks, tables and markup do."""
        text = text[:READ]
        if self.repeats(text) and (evidence := self.repeats(fold(text, self.repeats))):
            return evidence
        if self.addresses and text.count("://") >= self.addresses:
            found = Counter(ADDRESS.findall(fold(text, self.repeats))).most_common(1)
            if found and found[0][1] >= self.addresses:
                return f"{found[0][1]} times: {found[0][0]:.60}"
        if self.counted and has_numbers(text, self.counted):
            return counting(fold(text, self.repeats), self.counted)
        return None

    def repeats(self, text: str) -> str | None:
        """Find words that come again, whatever they stand in."""
        if not self.same_lines and (len(text) < SHORT or self._differs(text)):
            return None
        said = words(text)
        n_distinct, n = len(set(said)), len(said) - self.ngram + 1
        # Every word but the last few begins a run: runs differ no less than words do.
        if len(said) >= MIN_LOOP_WORDS and n_distinct - self.ngram + 1 < self.min_distinct * n:
            runs = set(zip(*(said[i : n + i] for i in range(self.ngram)), strict=True))
            if (rate := len(runs) / n) < self.min_distinct:
                return f"{rate:.2f} of its runs of {self.ngram} words differ"
        return self._same_line(text) or self._compresses(text.encode(errors="replace"), n_distinct)

    def _differs(self, text: str) -> bool:
        """Say whether the first words, counted at a third of the cost, show that it is no loop.

        A word with an apostrophe, or with letters beyond ASCII, may be counted as several.
        """
        odd = 0 if text.isascii() else len(text) - len(text.encode("ascii", "ignore"))
        spaced = text.encode("ascii", "replace").translate(CUT)
        n, size = spaced.count(b" ") + 1, len(text) + 3 * odd
        runs = self.min_distinct * n + self.ngram if n >= MIN_LOOP_WORDS else 0
        packed = self.min_zlib * size / WORD_BYTES if size >= MIN_ZLIB_CHARS else 0
        if not (least := max(runs, packed)):
            return True
        least += odd + spaced.count(b"'")
        return least < n and len(set(spaced.split(maxsplit=int(1.6 * least)))) > least

    def _same_line(self, text: str) -> str | None:
        if not self.same_lines:
            return None
        lines = Counter(filter(None, map(str.strip, text.split("\n"))))
        line, n = next(iter(lines.most_common(1)), ("", 0))
        return f"{n} times: {line[:60]}" if n >= self.same_lines else None

    def _compresses(self, raw: bytes, n_distinct: int) -> str | None:
        least = self.min_zlib * len(raw)
        if len(raw) < MIN_ZLIB_CHARS or n_distinct * WORD_BYTES >= least:
            return None
        if _size(raw[: len(raw) // 2]) - HEADER >= least:
            return None
        rate = _size(raw) / len(raw)
        return f"compresses to {rate:.2f}" if rate < self.min_zlib else None


loops = Loop()


def _size(raw: bytes) -> int:
    """Return the compressed size; what fits a small window needs no more memory than that."""
    if len(raw) > SMALL:
        return len(zlib.compress(raw))
    to = zlib.compressobj(wbits=12, memLevel=5)
    return len(to.compress(raw)) + len(to.flush())
