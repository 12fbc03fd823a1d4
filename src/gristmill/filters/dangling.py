"""Drop rows that speak of a text that is not there (F10): "the following chart" without one.

Source: our own, tuned as `text/detectors.py` says.
"""

from __future__ import annotations

from typing import ClassVar, NotRequired, TypedDict

from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.detectors import lacks_input


class Nothing(TypedDict):
    """It writes no columns."""


class Asked(TypedDict):
    """What it reads."""

    instruction: str | None
    input: NotRequired[str | None]


class Dangling(RowStage):
    """Compare an instruction with its input; the detail is the reference, or what stands there."""

    codes: ClassVar[frozenset[str]] = frozenset({"missing_input"})

    stand_ins: bool = True
    """Whether an input that is only a link, or a note such as `[insert text]`, is none."""

    def judges(self) -> frozenset[str]:
        """A row without an instruction stays."""
        return frozenset()

    def __call__(self, row: Asked) -> Nothing | Drop:
        """Look at the end of the instruction, or at the input."""
        asked, given = row["instruction"] or "", row.get("input") or ""
        evidence = lacks_input(asked, given, stand_ins=self.stand_ins)
        return Drop("missing_input", evidence) if evidence else {}
