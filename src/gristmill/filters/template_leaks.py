"""Drop rows whose answer has signs of a prompt in it (F2): control tokens, headings, the next task.

Source: our own signs, tuned as `text/detectors.py` says; headings and placeholders of templates of
yours as Evol-Instruct (Xu et al., arXiv:2304.12244, section 3.3) looks for its own.
"""

from __future__ import annotations

from typing import ClassVar, TypedDict

from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.detectors import leaks_template
from gristmill.text.leaks import leak, markers
from gristmill.text.turns import Spoken, answers


class Nothing(TypedDict):
    """It writes no columns."""


class TemplateLeaks(RowStage):
    """Look at every answer; the detail is the sign."""

    version: ClassVar[int] = 5
    codes: ClassVar[frozenset[str]] = frozenset({"template_leak"})

    templates: tuple[str, ...] = ()
    """Texts of your prompts: an answer must have none of their headings and `{placeholders}`."""

    def __call__(self, row: Spoken) -> Nothing | Drop:
        """Look at one answer after the other."""
        marks = markers(self.templates)
        for answer in answers(row):
            if evidence := leaks_template(answer) or (leak(answer, marks) if marks else None):
                return Drop("template_leak", evidence)
        return {}
