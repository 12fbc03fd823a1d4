"""Drop rows whose answer was cut off (F7): at the limit of tokens, or within a code block.

Source: our own.
"""

from __future__ import annotations

from typing import ClassVar, NotRequired, TypedDict

from gristmill.engines.requests import Gen
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.detectors import AT_LIMIT, cut_off
from gristmill.text.turns import Spoken, answers


class Nothing(TypedDict):
    """It writes no columns."""


class Made(Spoken):
    """What it reads: the turns, and how the model came to its end."""

    gen: NotRequired[Gen | None]


class Truncated(RowStage):
    """Look at how generation ended, then at every answer."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = frozenset({"truncated"})

    open_blocks: bool = True
    """Whether a code block that is never closed counts: of data without how it ended, all there
    is to see."""

    def __call__(self, row: Made) -> Nothing | Drop:
        """Look at the reason, then at one answer after the other."""
        gen = row.get("gen")
        if gen and gen["finish_reason"] == "length":
            return Drop("truncated", AT_LIMIT)
        found = map(cut_off, answers(row)) if self.open_blocks else ()
        evidence = next(filter(None, found), None)
        return Drop("truncated", evidence) if evidence else {}
