"""Drop rows whose answer repeats itself (F6): words, lines, addresses, or all, or only counts on.

Source: our own limits, tuned as `text/detectors.py` and `text/counting.py` say. Code blocks, tables
and markup repeat by their nature and are looked at as one word each.
"""

from __future__ import annotations

from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.counting import COUNTED
from gristmill.text.looping import ADDRESSES, MIN_DISTINCT, MIN_ZLIB, Loop
from gristmill.text.turns import Spoken, answers


class Nothing(TypedDict):
    """It writes no columns."""


class Loops(RowStage):
    """Look at every answer; the detail has the measure and its value."""

    version: ClassVar[int] = 4
    codes: ClassVar[frozenset[str]] = frozenset({"loop"})

    min_distinct: float = Field(default=MIN_DISTINCT, ge=0, le=1)
    """Share (0..1) of runs of words that differ under which an answer of twenty words or more
    loops. At 0.5 lists and verse count as well."""
    ngram: int = Field(default=4, ge=1, le=10)
    """Words of a run."""
    min_zlib: float = Field(default=MIN_ZLIB, ge=0, le=1)
    """Compressed size by size under which an answer of 300 bytes or more loops."""
    same_lines: int = Field(default=0, ge=0)
    """Times from which on one line makes a loop; 0 for any: refrains do so as well."""
    counted: int = Field(default=COUNTED, ge=0)
    """Steps from which on an answer that only counts on loops, three times as many where no letter
    stands between the numbers; 0 for any."""
    addresses: int = Field(default=ADDRESSES, ge=0)
    """Times from which on one address of the web makes a loop; 0 for any."""

    def __call__(self, row: Spoken) -> Nothing | Drop:
        """Look at one answer after the other."""
        limits = (self.min_distinct, self.min_zlib, self.ngram, self.same_lines, self.counted)
        loop = Loop(*limits, self.addresses)
        evidence = next(filter(None, map(loop, answers(row))), None)
        return Drop("loop", evidence) if evidence else {}
