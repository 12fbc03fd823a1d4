"""Shingles: the overlapping pieces of a text that near-duplicates share, as numbers.

A token, then a run of tokens, becomes the sum of a number of chance for each of its parts and
their places: two that differ have the same sum with a probability of 2^-64. All texts are cut at
once, on one array of their characters.
"""

from __future__ import annotations

import re
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

Unit = Literal["words", "chars"]
Hashes = np.ndarray[Any, np.dtype[np.uint64]]
Places = np.ndarray[Any, np.dtype[np.int64]]
Kinds = np.ndarray[Any, np.dtype[np.uint8]]

BLOCK = 1 << 17
"""Characters that are cut together, or one longer text, so that a block stays in the cache of a
core."""
NAMED = 1 << 13
"""Texts that are named together."""
BASE = 0x9E3779B97F4A7C15
WORD, SIGN = 1, 2
LAST = 0x3FFFF
"""No letter or digit stands behind this character."""
SIGNS = "-+*/=<>^%$#@&|~\\{}[]_"
"""Signs that change what code or a formula means; other punctuation rarely tells texts apart."""
ALONE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Scripts written without spaces count by character."""
END = ".,;:!?\u2026\u3002 \"'`"


def same(text: str) -> str:
    """Return a text as duplicates share it: without case, spacing and punctuation at its ends."""
    folded = " ".join(_folded(text).split())
    return folded.strip(END) or folded


@dataclass(frozen=True, slots=True)
class Shingles:
    """The distinct runs of texts: those of text i are `hashes[starts[i]:starts[i + 1]]`."""

    hashes: Hashes
    """(all runs,) uint64, sorted within a text."""
    starts: Places
    """(n + 1,) int64."""

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.starts) - 1

    def __getitem__(self, i: int) -> Hashes:
        """Return the runs of one text, sorted."""
        return self.hashes[self.starts[i] : self.starts[i + 1]]

    def names(self) -> Hashes:
        """Return a number per text, (n,), that texts with the same runs share; 0 without any."""
        found = np.zeros(len(self), np.uint64)
        for start in range(0, len(self), NAMED):
            starts = self.starts[start : start + NAMED + 1]
            sums = np.zeros(starts[-1] - starts[0] + 1, np.uint64)
            np.cumsum(mixed(self.hashes[starts[0] : starts[-1]]), out=sums[1:])
            found[start : start + NAMED] = np.diff(sums[starts - starts[0]])
        return found

    def only(self, texts: Places) -> Shingles:
        """Return those of some texts, (m,), in the order that is asked for."""
        sizes = np.diff(self.starts)[texts]
        starts = _summed(sizes)
        at = np.repeat(self.starts[texts] - starts[:-1], sizes) + np.arange(starts[-1])
        return Shingles(self.hashes[at], starts)


def shingles(texts: Iterable[str], unit: Unit, n: int) -> Shingles:
    """Cut texts into runs of n words or characters; a shorter text is one run.

    O(characters). Case is no difference; of characters, spacing and the ends are none either. The
    runs, 600 bytes for 80 words, lie in a temporary file, of which the machine keeps in memory what
    it has room for.
    """
    sizes = list[Places]()
    with tempfile.TemporaryFile() as file:
        for block in _blocks(texts, unit):
            part = _cut(block, unit, n)
            file.write(part.hashes.tobytes())
            sizes.append(np.diff(part.starts))
        starts = _summed(np.concatenate(sizes))
        file.flush()
        # An empty file cannot be mapped.
        hashes = np.memmap(file, np.uint64, "r") if starts[-1] else np.empty(0, np.uint64)
    return Shingles(hashes, starts)


def _blocks(texts: Iterable[str], unit: Unit) -> Iterator[list[str]]:
    """Yield texts as they compare, about `BLOCK` characters at a time, the last time fewer."""
    block, size = list[str](), 0
    for text in texts:
        block.append(_folded(text) if unit == "words" else same(text))
        size += len(block[-1])
        if size >= BLOCK:
            yield block
            block, size = [], 0
    yield block


def _folded(text: str) -> str:
    return (text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold()


def _cut(texts: Sequence[str], unit: Unit, n: int) -> Shingles:
    """Return the runs of a block of texts."""
    joined = "\n".join([*texts, ""])
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    ends = _summed(np.array([len(text) + 1 for text in texts], np.int64))
    if unit == "words":
        tokens, places = _tokens(codes)
        starts = np.searchsorted(places, ends)
    else:
        is_said = np.ones(len(codes), bool)
        is_said[ends[1:] - 1] = False
        tokens, starts = _chances()[codes[is_said]], ends - np.arange(len(ends))
    return _distinct(*_runs(tokens, starts, n))


def _tokens(codes: np.ndarray[Any, np.dtype[np.uint32]]) -> tuple[Hashes, Places]:
    """Return a number for every word and sign, and where it starts.

    That of a word is a polynomial over its characters, of which prefixes are summed up once for
    the whole block (Karp and Rabin, 1987).
    """
    kinds = _kinds()[np.minimum(codes, LAST)]
    is_word = kinds == WORD
    goes_on = np.zeros(len(codes), bool)
    goes_on[1:] = is_word[1:] & is_word[:-1]
    starts = np.flatnonzero((kinds > 0) & ~goes_on)
    stops = np.flatnonzero((kinds > 0) & ~np.append(goes_on[1:], False)) + 1
    powers, inverses = _powers(max(2 * BLOCK, 1 << len(codes).bit_length()))
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(_chances()[codes] * powers[: len(codes)], out=sums[1:])
    return (sums[stops] - sums[starts]) * inverses[starts], starts


def _runs(tokens: Hashes, starts: Places, n: int) -> tuple[Hashes, Places]:
    """Return a number for every run of n tokens, and where those of each text start."""
    sizes = np.diff(starts)
    counts = np.maximum(sizes - n + 1, sizes > 0)
    begins = _summed(counts)
    first = np.repeat(starts[:-1] - begins[:-1], counts) + np.arange(begins[-1])
    weights = mixed(np.arange(1, n + 1)) | np.uint64(1)
    sums = np.zeros(len(tokens), np.uint64)
    for i, weight in enumerate(weights[: len(tokens)]):
        sums[: len(tokens) - i] += tokens[i:] * weight
    found = sums[first]
    for text in np.flatnonzero((sizes > 0) & (sizes < n)).tolist():
        said = tokens[starts[text] : starts[text + 1]]
        found[begins[text]] = (said * weights[: len(said)]).sum()
    return mixed(found), begins


def _distinct(runs: Hashes, starts: Places) -> Shingles:
    """Return the runs of every text, sorted and once."""
    for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        runs[start:stop].sort()
    is_new = np.ones(len(runs), bool)
    is_new[1:] = runs[1:] != runs[:-1]
    is_new[starts[:-1][np.diff(starts) > 0]] = True
    return Shingles(runs[is_new], np.concatenate([[0], np.cumsum(is_new)])[starts])


def mixed(values: Any) -> Hashes:
    """Return numbers of chance for numbers: the finalizer of splitmix64 (Steele et al., 2014)."""
    mixed: Hashes = (values + np.uint64(1)).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _summed(sizes: Places) -> Places:
    """Return where parts of these sizes start in one array, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)


@lru_cache(maxsize=1)
def _kinds() -> Kinds:
    """Return for every character below `LAST` if it is part of a word, or a token alone."""
    kinds = np.fromiter((chr(i).isalnum() for i in range(LAST + 1)), np.uint8, LAST + 1)
    for i in [*map(ord, SIGNS), *range(0x3040, 0xD7B0)]:
        if i < 0x80 or ALONE.match(chr(i)):
            kinds[i] = SIGN
    return kinds


@lru_cache(maxsize=1)
def _chances() -> Hashes:
    """Return a number of chance for every character; 9 MB."""
    return mixed(np.arange(0x110000))


@lru_cache(maxsize=2)
def _powers(n: int) -> tuple[Hashes, Hashes]:
    """Return the powers of an odd number modulo 2^64, and those of its inverse, (n,) each."""
    inverse = pow(BASE, -1, 1 << 64)
    first: Hashes = np.cumprod(np.full(n, BASE, np.uint64), dtype=np.uint64)
    second: Hashes = np.cumprod(np.full(n, inverse, np.uint64), dtype=np.uint64)
    return first, second
