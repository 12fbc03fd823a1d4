"""Like texts: the distinct texts of one field, and which of them share most of their shingles.

Source: Broder, "On the resemblance and containment of documents" (1997). The sketches only
propose, the true share decides.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

PERMUTATIONS = 250
SEED = 1
MISS_RATE = 0.001
"""Share of the pairs at the threshold that the bands may miss."""

Hashes = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(eq=False, slots=True)
class Text:
    """One distinct text."""

    words: str
    hashes: Hashes | None = None
    """(n,) int64, sorted: its distinct shingles, once somebody asks; none where it says nothing."""
    sketch: Any = None
    alike: dict[Text, float] = field(default_factory=dict)
    """Texts that were added, with their shares (0..1) at or above the threshold; its own is 1."""
    n_seen: int = -1
    """Indexed texts that `alike` is about."""
    places: list[int] = field(default_factory=list)
    """Where it was added, in order."""


class LikeTexts:
    """Texts by place. One that comes again (a passage under many questions) costs a look-up.

    Texts are sketched when `alike` is first asked, which many fields never are. That costs O(1)
    for a text with few that are alike, O(those that are alike) else.
    """

    def __init__(self, threshold: float, shingles: Callable[[str], Iterator[str]]) -> None:
        from rensa import RMinHash, RMinHashLSH

        self.threshold, self.shingles, self.new_sketch = threshold, shingles, RMinHash
        self.index = RMinHashLSH(threshold, PERMUTATIONS, bands(threshold))
        self.by_words: dict[str, Text] = {}
        self.waiting: list[Text] = []
        self.indexed: list[Text] = []
        self.silent: dict[Text, float] = {}

    def find(self, words: str) -> Text:
        """Return the text that was added with these words, else a new one."""
        return self.by_words.get(words) or Text(words)

    def add(self, text: Text, place: int) -> None:
        """Remember that a text stands at a place."""
        text.places.append(place)
        if text.words not in self.by_words:
            self.by_words[text.words] = text
            self.waiting.append(text)

    def says(self, text: Text) -> bool:
        """Say whether there are any shingles in a text."""
        return len(self._hashes(text)) > 0

    def share(self, one: Text, other: Text) -> float:
        """Return the Jaccard similarity of two texts, 0 if it is below the threshold.

        Exact but for a collision of 64 bits; two texts that say nothing are the same.
        """
        if one is other:
            return 1.0
        a, b = self._hashes(one), self._hashes(other)
        small, large = sorted((len(a), len(b)))
        if small < self.threshold * large:
            return 0.0
        both = len(np.intersect1d(a, b, assume_unique=True))
        share = both / (small + large - both) if large else 1.0
        return share if share >= self.threshold else 0.0

    def alike(self, text: Text) -> dict[Text, float]:
        """Return the added texts that are like a text, with their shares."""
        for other in self.waiting:
            self._insert(other)
        self.waiting.clear()
        if text.words not in self.by_words:
            self._query(text)
        return text.alike

    def _hashes(self, text: Text) -> Hashes:
        if text.hashes is None:
            text.hashes = _hashed(set(self.shingles(text.words)))
        return text.hashes

    def _query(self, text: Text) -> None:
        if text.sketch is None:
            shingles = list(dict.fromkeys(self.shingles(text.words)))
            text.hashes = _hashed(shingles)
            text.sketch = self.new_sketch(PERMUTATIONS, SEED)
            text.sketch.update(shingles)
        if not len(self._hashes(text)):
            text.alike = self.silent
        elif text.n_seen != len(self.indexed):
            found = map(self.indexed.__getitem__, self.index.query(text.sketch))
            text.alike = {other: share for other in found if (share := self.share(text, other))}
            text.n_seen = len(self.indexed)

    def _insert(self, text: Text) -> None:
        self._query(text)
        if text.alike is not self.silent:
            for other, share in text.alike.items():
                other.alike[text] = share
            self.index.insert(len(self.indexed), text.sketch)
            self.indexed.append(text)
        text.alike[text] = 1.0
        text.sketch = None


FEW = 32
"""Places up to which comparing their texts costs less than sketching all texts of a field."""


def nearest(
    fields: Sequence[LikeTexts], texts: Sequence[Text], at: Mapping[int, Sequence[Text]]
) -> tuple[float, int]:
    """Return likeness and place of the place whose texts are all like these; (0, 0) without one.

    Likeness is the least share of a pair; the first of equally near places wins. `at` has the
    texts of every place, by field.
    """
    asked: list[dict[Text, float] | None] = [None] * len(fields)
    alike, n_fewest = dict[Text, float](), -1
    for i, known in enumerate(fields):
        found = asked[i] = known.alike(texts[i])
        n = sum(len(other.places) for other in found)
        if not i or n < n_fewest:
            alike, n_fewest = found, n
        if n_fewest <= FEW:
            break
    best = (0.0, 0)
    for place in (place for text in alike for place in text.places):
        likeness = 1.0
        for known, text, other, like in zip(fields, texts, at[place], asked, strict=True):
            share = known.share(text, other) if like is None else like.get(other, 0.0)
            likeness = min(likeness, share)
            if not likeness:
                break
        # The negative place breaks ties.
        best = max(best, (likeness, -place))
    return (best[0], -best[1]) if best[0] else (0.0, 0)


def _hashed(shingles: Collection[str]) -> Hashes:
    """Return the hashes of distinct shingles, in order."""
    found = np.fromiter(map(hash, shingles), np.int64, len(shingles))
    found.sort()
    return found


def bands(threshold: float) -> int:
    """Return the fewest bands that propose a pair at the threshold often enough."""
    divisors = [n for n in range(1, PERMUTATIONS + 1) if PERMUTATIONS % n == 0]
    enough = (n for n in divisors if (1 - threshold ** (PERMUTATIONS // n)) ** n <= MISS_RATE)
    return next(enough, PERMUTATIONS)
