"""Drop rows whose answer declines (F4): it apologises, or speaks of what models cannot do.

Source: our own openings, tuned as `text/detectors.py` says; on request the rule of Evol-Instruct
(Xu et al., arXiv:2304.12244, section 3.3): "sorry" in fewer than 80 words.
"""

from __future__ import annotations

from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.detectors import declines
from gristmill.text.refusals import non_answer
from gristmill.text.turns import Spoken, answers


class Nothing(TypedDict):
    """It writes no columns."""


class Refusals(RowStage):
    """Look at every answer; the detail is what it says."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = frozenset({"refusal"})

    sorry_below: int = Field(default=0, ge=0)
    """Words below which any "sorry" is a refusal: 80 in the paper, 0 for none. As often as not it
    is part of a letter."""

    def __call__(self, row: Spoken) -> Nothing | Drop:
        """Look at one answer after the other."""
        for answer in answers(row):
            if evidence := declines(answer):
                return Drop("refusal", evidence)
            if self.sorry_below and non_answer(answer, self.sorry_below) == "refusal":
                return Drop("refusal", f"sorry, in fewer than {self.sorry_below} words")
        return {}
