"""Like texts: the distinct texts of one field, and which of them share most of their shingles.

Source: Broder, "On the resemblance and containment of documents" (1997). The sketches only
propose, the true share decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
    sketch: Any
    hashes: Hashes
    """(n,) int64, sorted: its distinct shingles; none where it says nothing."""
    alike: dict[Text, float] = field(default_factory=dict)
    """Texts that were added, with their shares (0..1) at or above the threshold; its own is 1."""
    places: list[int] = field(default_factory=list)
    """Where it was added, in order."""


class LikeTexts:
    """Texts by place. One that comes again (a passage under many questions) costs a look-up.

    Costs O(1) for a text with few that are alike, O(those that are alike) else.
    """

    def __init__(self, threshold: float, shingles: Callable[[str], Iterator[str]]) -> None:
        from rensa import RMinHash, RMinHashLSH

        self.threshold, self.shingles, self.sketch = threshold, shingles, RMinHash
        self.index = RMinHashLSH(threshold, PERMUTATIONS, bands(threshold))
        self.added: list[Text] = []
        self.by_words: dict[str, Text] = {}

    def find(self, words: str) -> Text:
        """Return a text with those added before that are alike; nothing is like nothing only."""
        if known := self.by_words.get(words):
            return known
        shingles = list(dict.fromkeys(self.shingles(words)))
        hashes = np.unique(np.fromiter(map(hash, shingles), np.int64, len(shingles)))
        if not shingles and words:
            return self.find("")
        text = Text(words, self.sketch(PERMUTATIONS, SEED), hashes)
        if shingles:
            text.sketch.update(shingles)
            for other in map(self.added.__getitem__, self.index.query(text.sketch)):
                if (share := self._share(hashes, other.hashes)) >= self.threshold:
                    text.alike[other] = share
        return text

    def add(self, text: Text, place: int) -> None:
        """Remember that a text that was found stands at a place."""
        text.places.append(place)
        if text.words not in self.by_words:
            self.by_words[text.words] = text
            for other, share in text.alike.items():
                other.alike[text] = share
            text.alike[text] = 1.0
            if len(text.hashes):
                self.index.insert(len(self.added), text.sketch)
                self.added.append(text)

    def _share(self, one: Hashes, other: Hashes) -> float:
        """Return the Jaccard similarity of two sorted sets: exact but for a collision of 64 bits.

        Sets too different in size are 0: they cannot reach the threshold.
        """
        small, large = sorted((len(one), len(other)))
        if small < self.threshold * large:
            return 0.0
        both = len(np.intersect1d(one, other, assume_unique=True))
        return both / (small + large - both)


def nearest(texts: Iterable[Text], at: dict[int, list[Text]]) -> tuple[float, int]:
    """Return likeness and place of the place whose texts are all like these; (0, 0) without one.

    Likeness is the least share of a pair; the first of equally near places wins. `at` has the
    texts of every place in the order of these.
    """
    texts = list(texts)
    fewest = min(texts, key=lambda text: sum(len(other.places) for other in text.alike))
    best = (0.0, 0)
    for place in (place for other in fewest.alike for place in other.places):
        likeness = min(t.alike.get(o, 0.0) for t, o in zip(texts, at[place], strict=True))
        if likeness:
            # The negative place breaks ties.
            best = max(best, (likeness, -place))
    return best[0], -best[1]


def bands(threshold: float) -> int:
    """Return the fewest bands that propose a pair at the threshold often enough."""
    divisors = [n for n in range(1, PERMUTATIONS + 1) if PERMUTATIONS % n == 0]
    enough = (n for n in divisors if (1 - threshold ** (PERMUTATIONS // n)) ** n <= MISS_RATE)
    return next(enough, PERMUTATIONS)
