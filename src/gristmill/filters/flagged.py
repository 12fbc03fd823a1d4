"""Drop rows that carry a flag: what a stage noticed about a row without judging it."""

from __future__ import annotations

from typing import ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.pipelines.stage import Drop, RowStage


class Flags(TypedDict):
    """What it reads."""

    flags: NotRequired[list[str] | None]


class Nothing(TypedDict):
    """It writes no columns."""


class Flagged(RowStage):
    """Drop a row with any of the named flags; the detail says which."""

    codes: ClassVar[frozenset[str]] = frozenset({"flagged"})

    flags: tuple[str, ...] = Field(default=("truncated",), min_length=1)
    """A response that was cut before it was scored leaves by default, as in arXiv:2308.12032."""

    def __call__(self, row: Flags) -> Nothing | Drop:
        """Look the flags up."""
        found = sorted({*self.flags} & {*(row.get("flags") or [])})
        return Drop("flagged", ", ".join(found)) if found else {}
