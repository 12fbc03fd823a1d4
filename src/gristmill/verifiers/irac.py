"""Judge a legal answer by the letter in its format; what cannot be read counts as wrong.

Source: Fernandes et al., "A Llama walks into the 'Bar'", arXiv:2504.04945, section 4: accuracy, and
how often an answer keeps to the prompt. `generators.irac` asks in these formats.
"""

from __future__ import annotations

from typing import TypedDict

from gristmill.pipelines.stage import RowStage
from gristmill.text.irac import Form, choice_in

Answered = TypedDict("Answered", {"output": str, "meta.irac.form": Form, "meta.irac.letter": str})


class Judged(TypedDict):
    """What it writes."""

    passed: bool
    status: str
    """right, wrong or unparsed."""
    letter: str | None
    """The choice that was read; `scorers.option_bias` looks whether one is preferred."""
    adheres: bool
    """Whether the answer keeps to the format at all."""


class Irac(RowStage):
    """Compare the letter with the right one."""

    def __call__(self, row: Answered) -> Judged:
        """Read the answer in the format that was asked for."""
        letter = choice_in(row["output"] or "", row["meta.irac.form"])
        passed = letter is not None and letter == row["meta.irac.letter"]
        status = "unparsed" if letter is None else "right" if passed else "wrong"
        return {
            "passed": passed, "status": status, "letter": letter, "adheres": letter is not None
        }  # fmt: skip
