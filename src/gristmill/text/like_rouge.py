"""Texts by words, so that all with a high enough ROUGE-L are found without comparing all.

A ROUGE-L of t needs that many common words in any order. Sorted by rarity, two word lists with c
words in common share one among their first n - c + 1, so that only those are indexed: the prefix
filter of Bayardo, Ma and Srikant, "Scaling Up All Pairs Similarity Search" (2007). The longest
common subsequence decides, so the result is that of comparing every pair: a word is one number,
and all texts that a question leaves are compared in one call (ADR 0042).
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

Token = tuple[str, int]
"""A word, and how often it came before in its text: a list of words becomes a set."""
CODES = 0x110000
"""Numbers below it are characters: a text of these words is a string, of others a list."""


class LikeRouge:
    """Texts that were added, by their rarest words.

    O(texts that share a rare word) per question; common words alone make that all of them.
    """

    def __init__(self, threshold: float, texts: Iterable[Sequence[str]]) -> None:
        """Learn from texts which words are rare; others may be asked about as well."""
        self.threshold = threshold
        self.counts: Counter[Token] = Counter()
        for said in texts:
            self.counts.update(_tokens(said))
        self.codes: dict[str, int] = {}
        """Of the words of texts that were added, from 1; 0 is every other word."""
        self.added: list[str | list[int]] = []
        self.places: list[int] = []
        self.lengths = array("q")
        self.by_token: dict[Token, list[int]] = {}
        self.longest = 0

    def add(self, said: Sequence[str], place: int) -> None:
        """Remember the words of a text under its place."""
        for token in self._rarest(said):
            self.by_token.setdefault(token, []).append(len(self.added))
        for word in said:
            self.codes.setdefault(word, len(self.codes) + 1)
        self.added.append(self._coded(said))
        self.places.append(place)
        self.lengths.append(len(said))
        self.longest = max(self.longest, len(said))

    def nearest(self, said: Sequence[str]) -> tuple[float, int]:
        """Return ROUGE-L (0..1) and place of the most like text at or above the threshold.

        The first added wins among equals; (0, -1) where there is none.
        """
        total = len(said) + self.longest
        if total and 2 * self.longest / total < self.threshold:
            return 0.0, -1  # a book among short texts
        alike = [self.by_token.get(token, []) for token in self._rarest(said)]
        # Where about all are alike, comparing all is quicker than finding out which.
        every = 2 * sum(map(len, alike)) > len(self.added)
        found = range(len(self.added)) if every else sorted(set().union(*alike))
        if not found:
            return 0.0, -1
        from rapidfuzz.distance import LCSseq
        from rapidfuzz.process import cdist

        others = self.added if every else [self.added[i] for i in found]
        common = cdist(others, [self._coded(said)], scorer=LCSseq.similarity, dtype=np.int64)[:, 0]
        lengths = np.frombuffer(self.lengths, np.int64)
        rates = 2 * common / (len(said) + (lengths if every else lengths[found]))
        first = int(rates.argmax())
        rate = float(rates[first])
        return (rate, self.places[found[first]]) if rate >= self.threshold else (0.0, -1)

    def _coded(self, said: Sequence[str]) -> str | list[int]:
        codes = [self.codes.get(word, 0) for word in said]
        return "".join(map(chr, codes)) if max(codes, default=0) < CODES else codes

    def _rarest(self, said: Sequence[str]) -> list[Token]:
        if not said:
            return []
        ordered = sorted(_tokens(said), key=lambda token: (self.counts[token], token))
        return ordered[: len(said) - _fewest(len(said), self.threshold) + 1]


def _tokens(said: Iterable[str]) -> list[Token]:
    seen: Counter[str] = Counter()
    tokens = []
    for word in said:
        tokens.append((word, seen[word]))
        seen[word] += 1
    return tokens


@lru_cache(maxsize=4096)
def _fewest(n: int, threshold: float) -> int:
    """Return the least number of words that any text has in common with a like one of n words.

    It is the length of the shortest like text: with fewer words in common, one of that length or
    more reaches the threshold still less.
    """
    return next(m for m in range(1, n + 1) if 2 * m / (n + m) >= threshold)
