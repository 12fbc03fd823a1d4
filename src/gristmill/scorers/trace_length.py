"""Length of a reasoning trace, without the steps that it repeats.

Source: Yang et al., "Select2Reason", arXiv:2505.17266: long traces teach more, and exactly repeated
steps are removed before a trace is counted.
Differs from the paper: a step is a line, equal lines differ in white space at most; words and
characters instead of tokens, so that no tokenizer decides. Loops and cut-off traces must leave
first: long is not good by itself.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from gristmill.pipelines.stage import RowStage
from gristmill.text.turns import Turn, parts


class Answered(TypedDict):
    """What it reads."""

    output: NotRequired[str | None]
    messages: NotRequired[list[Turn] | None]


class Length(TypedDict):
    """What it writes; None when there is no response."""

    words: int | None
    """Words of the distinct steps: 0 and up, higher is longer."""
    chars: int | None
    """Characters of the distinct steps, white space folded, line breaks not counted."""
    steps: int | None
    """Distinct steps."""
    repeat_rate: float | None
    """Share (0..1) of the steps that said what an earlier one had said."""


class TraceLength(RowStage):
    """Count what a response says once; of a conversation all answers count together."""

    def judges(self) -> frozenset[str]:
        """Without a response there is nothing to count."""
        return frozenset({"output"})

    def __call__(self, row: Answered) -> Length:
        """Fold white space, keep the first of equal lines."""
        lines = [line for text in parts(row, "output") for line in text.splitlines()]
        folded = [words for line in lines if (words := " ".join(line.split()))]
        if not folded:
            return {"words": None, "chars": None, "steps": None, "repeat_rate": None}
        distinct = dict.fromkeys(folded)
        return {
            "words": sum(len(step.split()) for step in distinct),
            "chars": sum(map(len, distinct)),
            "steps": len(distinct),
            "repeat_rate": 1 - len(distinct) / len(folded),
        }
