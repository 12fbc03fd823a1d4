"""Texts by words, so that all with a high enough ROUGE-L are found without comparing all.

A ROUGE-L of t needs that many common words in any order. Sorted by rarity, two word lists with c
words in common share one among their first n - c + 1, so that only those are indexed: the prefix
filter of Bayardo, Ma and Srikant, "Scaling Up All Pairs Similarity Search" (2007). The longest
common subsequence decides, so the result is that of comparing every pair.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from gristmill.text.rouge import common_length

Token = tuple[str, int]
"""A word, and how often it came before in its text: a list of words becomes a set."""


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
        self.added: list[tuple[Sequence[str], int]] = []
        self.by_token: dict[Token, list[int]] = {}
        self.longest = 0

    def add(self, said: Sequence[str], place: int) -> None:
        """Remember the words of a text under its place."""
        for token in self._rarest(said):
            self.by_token.setdefault(token, []).append(len(self.added))
        self.added.append((said, place))
        self.longest = max(self.longest, len(said))

    def nearest(self, said: Sequence[str]) -> tuple[float, int]:
        """Return ROUGE-L (0..1) and place of the most like text at or above the threshold.

        The first added wins among equals; (0, -1) where there is none.
        """
        total = len(said) + self.longest
        if total and 2 * self.longest / total < self.threshold:
            return 0.0, -1  # a book among short texts
        found = {i for token in self._rarest(said) for i in self.by_token.get(token, ())}
        best, at = 0.0, -1
        for i in sorted(found):
            other, place = self.added[i]
            small, total = min(len(said), len(other)), len(said) + len(other)
            if 2 * small / total < self.threshold or 2 * small / total <= best:
                continue
            rate = 2 * common_length(other, said) / total
            if rate >= self.threshold and rate > best:
                best, at = rate, place
        return best, at

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
