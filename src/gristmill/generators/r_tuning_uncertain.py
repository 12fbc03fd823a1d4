"""R-Tuning-U: a row says that it is sure, or not, by how far a model's own answers are apart.

Source: Zhang et al., "R-Tuning: Instructing Large Language Models to Say 'I Don't Know'",
arXiv:2311.09677, section 3.3. `scorers.answer_entropy` and `selectors.r_tuning` come before.
Differs from the paper: a row without a right answer learns the one that the model gave most.
"""

from __future__ import annotations

from typing import TypedDict

from gristmill.pipelines.stage import RowStage
from gristmill.text.known import checked
from gristmill.text.turns import WholeTurn, question

Asked = TypedDict(
    "Asked",
    {
        "instruction": str,
        "input": str | None,
        "output": str | None,
        "scores.answer_entropy.majority": str,
        "picks.r_tuning.is_sure": bool,
    },
)


class Told(TypedDict):
    """What it writes."""

    instruction: str
    input: str | None
    output: str
    messages: list[WholeTurn]
    is_sure: bool


class RTuningUncertain(RowStage):
    """Make one row of a question: its answer, and how sure it is; nobody is asked."""

    def optional(self) -> frozenset[str]:
        """No right answer is needed."""
        return frozenset({"input", "output"})

    def __call__(self, row: Asked) -> list[Told]:
        """Take the right answer if there is one."""
        asked, is_sure = question(row["instruction"], row["input"]), row["picks.r_tuning.is_sure"]
        answer = row["output"] or row["scores.answer_entropy.majority"]
        turns = checked(asked, answer, is_sure=is_sure)
        output = turns[-1]["content"]
        told = Told(instruction=asked, input=None, output=output, messages=turns, is_sure=is_sure)
        return [told]
