"""Drop rows whose answer has a place that was left to be filled in (F11): `[insert name]`.

Source: our own, tuned as `text/detectors.py` says.
"""

from __future__ import annotations

from typing import ClassVar, TypedDict

from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.detectors import slot, stub
from gristmill.text.turns import Spoken, answers


class Nothing(TypedDict):
    """It writes no columns."""


class Placeholders(RowStage):
    """Look at every answer; the detail is the place."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = frozenset({"placeholder"})

    any_brackets: bool = False
    """Whether `{name}`, `<name>` and `[Your Name]` outside of code count as well: letters have
    them, and so have answers about templates."""

    def __call__(self, row: Spoken) -> Nothing | Drop:
        """Look at one answer after the other."""
        for answer in answers(row):
            if evidence := stub(answer) or (slot(answer) if self.any_brackets else None):
                return Drop("placeholder", evidence)
        return {}
