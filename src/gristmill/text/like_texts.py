"""Like texts: the distinct texts of one field, and which of them share most of their shingles.

Source: Broder, "On the resemblance and containment of documents" (1997). The sketches only
propose, the true share decides.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gristmill.text.shingles import Hashes, Places, Shingles, mixed

PERMUTATIONS = 128
SEED = 1
TOGETHER = 4096
"""Pairs that are compared together."""
SKETCHED = 256
"""Sketches that are lists of numbers at the same time: 4 KB each, so that they stay in a cache."""
MISS_RATE = 0.001
"""Share of the pairs at the threshold that the bands may miss."""

PER_BAND, MOST_LIKE = 4, 4
"""Texts that a band proposes for another in `like_pairs`, and those that are compared with it."""

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Shares = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(eq=False, slots=True)
class Text:
    """One distinct text."""

    hashes: Hashes
    """(n,) uint64, sorted: its distinct shingles; none where it says nothing."""
    number: int
    """Which of the distinct texts it is."""
    alike: dict[Text, float] = field(default_factory=dict)
    """Texts that were added, with their shares (0..1) at or above the threshold; its own is 1."""
    n_seen: int = -1
    """Indexed texts that `alike` is about."""
    places: list[int] = field(default_factory=list)
    """Where it was added, in order."""


class LikeTexts:
    """Texts by place. One that comes again (a passage under many questions) costs a look-up.

    `alike` costs O(1) for a text with few that are alike, O(those that are alike) else.
    """

    def __init__(self, threshold: float, texts: Shingles) -> None:
        self.threshold = threshold
        distinct = Distinct.of(texts)
        known = texts.only(distinct.firsts)
        self.buckets = Buckets(_band_keys(known, bands(threshold)))
        self.texts = [Text(known[i], i) for i in range(len(known))]
        self.which = distinct.which
        self.n_indexed = 0

    def __getitem__(self, i: int) -> Text:
        """Return the text of a row; rows with the same shingles have the same."""
        return self.texts[int(self.which[i])]

    def add(self, text: Text, place: int) -> None:
        """Remember that a text stands at a place."""
        if not text.places:
            self._find(text)
            for other, share in text.alike.items():
                other.alike[text] = share
            self.buckets.add(text.number)
            text.alike[text] = 1.0
            self.n_indexed += 1
        text.places.append(place)

    def share(self, one: Text, other: Text) -> float:
        """Return the Jaccard similarity of two texts, 0 if it is below the threshold.

        Exact but for a collision of 64 bits; two texts that say nothing are the same.
        """
        return 1.0 if one is other else share(one.hashes, other.hashes, self.threshold)

    def alike(self, text: Text) -> dict[Text, float]:
        """Return the added texts that are like a text, with their shares."""
        if not text.places:
            self._find(text)
        return text.alike

    def _find(self, text: Text) -> None:
        if text.n_seen != self.n_indexed:
            found = map(self.texts.__getitem__, dict.fromkeys(self.buckets.near(text.number)))
            text.alike = {other: share for other in found if (share := self.share(text, other))}
            text.n_seen = self.n_indexed


class Buckets:
    """Which of the texts that were added share a band: a chain through one array for each bucket.

    O(1) to add, 12 bytes at most for each band of a text; a key that only one text has is left out.
    """

    def __init__(self, keys: Hashes) -> None:
        """Take (n, b) uint64, a number per band of every text."""
        bucket_of = np.empty(keys.shape, np.int32)
        n_buckets = 0
        for band, column in enumerate(keys.T):
            _, which, times = np.unique(column, return_inverse=True, return_counts=True)
            numbers = np.cumsum(times > 1, dtype=np.int32) + np.int32(n_buckets - 1)
            bucket_of[:, band] = np.where(times > 1, numbers, -1)[which]
            n_buckets += int((times > 1).sum())
        self.n_bands = keys.shape[1]
        self.bucket_of = array("i", bucket_of.tobytes())
        self.last = array("i", [-1]) * n_buckets
        self.before = array("i", [-1]) * bucket_of.size

    def add(self, text: int) -> None:
        """Put a text at the end of its buckets."""
        for at in range(text * self.n_bands, (text + 1) * self.n_bands):
            if (bucket := self.bucket_of[at]) >= 0:
                self.before[at], self.last[bucket] = self.last[bucket], text

    def near(self, text: int) -> Iterator[int]:
        """Yield the added texts of its buckets, once for each that they share."""
        first = text * self.n_bands
        for band in range(self.n_bands):
            if (bucket := self.bucket_of[first + band]) >= 0:
                other = self.last[bucket]
                while other >= 0:
                    yield other
                    other = self.before[other * self.n_bands + band]


@dataclass(frozen=True, slots=True)
class Distinct:
    """Which texts of a field are the same."""

    firsts: Places
    """(m,) int64: the first place of every distinct text."""
    which: Places
    """(n,) int64: the distinct text of every place."""

    @classmethod
    def of(cls, texts: Shingles) -> Distinct:
        """Compare texts by the shingles that they have."""
        return cls(*np.unique(texts.names(), return_index=True, return_inverse=True)[1:])


def maybe_alike(texts: Shingles, threshold: float) -> Mask:
    """Say for every text, (n,), whether another could be like it: most are never looked at again.

    O(n), 512 bytes a text. It misses what the bands miss.
    """
    from rensa import RMinHashLSH

    index = RMinHashLSH(threshold, PERMUTATIONS, bands(threshold))
    return np.array(index.query_duplicate_flags_matrix_one_shot(_sketches(texts)), bool)


FEW = 32
"""Places up to which comparing their texts costs less than asking another field."""


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


def share(one: Hashes, other: Hashes, threshold: float) -> float:
    """Return the Jaccard similarity of two sorted sets, 0 if it is below the threshold."""
    small, large = sorted((len(one), len(other)))
    if small < threshold * large:
        return 0.0
    both = len(np.intersect1d(one, other, assume_unique=True))
    found = both / (small + large - both) if large else 1.0
    return found if found >= threshold else 0.0


def like_pairs(
    one: Shingles, other: Shingles, threshold: float, apart: tuple[Hashes, Hashes]
) -> tuple[Shares, Places, Places]:
    """Return likeness and places of pairs from two lists of texts that say something, (k,) each.

    Texts are compared only where their numbers in `apart`, (n,) and (m,), are the same. Of the
    texts that the bands propose for a text those that share the most bands are compared,
    `MOST_LIKE` at most: O(n + m), also where all are alike.
    """
    n_bands = bands(threshold)
    sides = zip((one, other), apart, strict=True)
    keys = [mixed(_band_keys(texts, n_bands) + by[:, None]) for texts, by in sides]
    proposed = list[Places]()
    for mine, theirs in zip(keys[0].T, keys[1].T, strict=True):
        asking, order = (np.argsort(side, kind="stable") for side in (mine, theirs))
        wanted, known = mine[asking], theirs[order]  # sorted: a search is near the one before
        first = np.searchsorted(known, wanted, "left")
        n = np.searchsorted(known, wanted, "right") - first
        turn = _nth(wanted)  # each asks others first
        for i in range(PER_BAND):
            there = np.flatnonzero(i < n)
            place = first[there] + (turn[there] + i) % n[there]
            proposed.append(asking[there] * len(other) + order[place])
    pairs, times = np.unique(np.concatenate(proposed), return_counts=True)
    place = pairs // max(len(other), 1)
    order = np.lexsort((pairs, -times, place))
    chosen = pairs[order[_nth(place[order]) < MOST_LIKE]]
    i, j = np.divmod(chosen, max(len(other), 1))
    parts = [slice(start, start + TOGETHER) for start in range(0, len(chosen), TOGETHER)]
    shares = [np.zeros(0), *(_shares(one.only(i[at]), other.only(j[at])) for at in parts)]
    found = np.concatenate(shares)
    near = found >= threshold
    return found[near], i[near], j[near]


def _nth(values: Hashes | Places) -> Places:
    """Return for sorted numbers, (n,), how many of the same stand before each."""
    places = np.arange(len(values))
    is_new = np.append(True, values[1:] != values[:-1])[: len(values)]
    nth: Places = places - np.maximum.accumulate(np.where(is_new, places, 0))
    return nth


def _shares(one: Shingles, other: Shingles) -> Shares:
    """Return the Jaccard similarity of each text of one with its partner, (n,); n <= `TOGETHER`.

    Exact but for a collision of 52 bits: above them a number says whose shingle it is, so both
    lists are sorted as they are, and merged.
    """
    sizes = [np.diff(texts.starts) for texts in (one, other)]
    whose = [np.repeat(np.arange(len(one), dtype=np.uint64), size) for size in sizes]
    keys = [
        (pair << np.uint64(52)) | (texts.hashes >> np.uint64(12))
        for pair, texts in zip(whose, (one, other), strict=True)
    ]
    merged = np.sort(np.concatenate(keys), kind="stable")
    twice = merged[1:][merged[1:] == merged[:-1]] >> np.uint64(52)
    both = np.bincount(twice.astype(np.int64), minlength=len(one))
    shares: np.ndarray[Any, np.dtype[np.float64]] = both / (sizes[0] + sizes[1] - both)
    return shares


def bands(threshold: float) -> int:
    """Return the fewest bands that propose a pair at the threshold often enough."""
    divisors = [n for n in range(1, PERMUTATIONS + 1) if PERMUTATIONS % n == 0]
    enough = (n for n in divisors if (1 - threshold ** (PERMUTATIONS // n)) ** n <= MISS_RATE)
    return next(enough, PERMUTATIONS)


def _sketches(texts: Shingles) -> Any:
    from rensa import RMinHash

    return RMinHash.digest_matrix_from_flat_token_hashes(
        texts.hashes, texts.starts.astype(np.uint64), PERMUTATIONS, SEED
    )


def _band_keys(texts: Shingles, n_bands: int) -> Hashes:
    """Return a number per band of every text, (n, b); texts that say nothing have the same."""
    keys = np.empty((len(texts), n_bands), np.uint64)
    for start in range(0, len(texts), SKETCHED):
        some = np.arange(start, min(start + SKETCHED, len(texts)))
        sketches = np.array(_sketches(texts.only(some)).to_rows(), np.uint64)
        keys[some] = np.arange(n_bands)
        for part in np.moveaxis(sketches.reshape(len(some), n_bands, -1), 2, 0):
            keys[some] = mixed(keys[some] + part)
    return keys
