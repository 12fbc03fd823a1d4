"""Hashed n-grams: a text as counts in a fixed number of buckets.

Source: Xie et al., "Data Selection for Language Models via Importance Resampling" (DSIR),
arXiv:2302.03169, section 3: words and pairs of words in 10,000 buckets.
"""

from __future__ import annotations

from itertools import pairwise
from zlib import crc32

from gristmill.text.words import words


def buckets(text: str, n: int) -> list[int]:
    """Return the bucket, 0..n-1, of every word and pair of words; the same on every machine."""
    found = words(text)
    grams = [*found, *(f"{a} {b}" for a, b in pairwise(found))]
    return [crc32(gram.encode("utf-8", "surrogatepass")) % n for gram in grams]
