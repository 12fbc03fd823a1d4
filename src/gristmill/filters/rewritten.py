"""Drop rewrites that bring nothing new, grow out of hand, or lose what they had to keep.

Source: the eliminations of Evol-Instruct (Xu et al., arXiv:2304.12244, section 3.3) and what its
followers limit; a rule where the paper asks a model. For rows that carry the text they were made
from in a column.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypedDict

from pydantic import Field

from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.fidelity import lost
from gristmill.text.plurals import listed
from gristmill.text.rouge import f_measure, repeats
from gristmill.text.words import words


class Nothing(TypedDict):
    """It writes no columns."""


class Rewritten(RowStage):
    """Compare a text with the one that it was made from; a row without one of them stays.

    Of texts that differ in more, all that begins and ends alike counts, and 10,000 words between.
    """

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = frozenset({"no_gain", "overgrown", "lost_facts"})

    made_from: str = Field(pattern=r"^\w+(\.\w+)*$")
    """Column of the text before."""
    text: Literal["instruction", "input", "output"] = "instruction"
    """Column of the text after."""
    max_rouge: float = Field(default=0.9, gt=0, le=1)
    """ROUGE-L (0..1) from which on it is `no_gain`, unless it has ten words more."""
    max_growth: float = Field(default=4.0, gt=0)
    """Words after by words before, above which it is `overgrown`. Our choice, for a whole chain of
    rewrites."""
    keeps_facts: bool = False
    """Whether every number, address and code span must still be there, as in a translation."""
    skip: tuple[Literal["no_gain", "overgrown"], ...] = ()
    """Faults that are none for this data: what grows on purpose, or need not bring anything new."""

    def reads(self) -> frozenset[str]:
        """The columns are parameters."""
        return frozenset({self.made_from, self.text})

    def judges(self) -> frozenset[str]:
        """A row without the text stays."""
        return frozenset()

    def __call__(self, row: dict[str, Any]) -> Nothing | Drop:
        """Look for one fault after the other."""
        before, after = row[self.made_from] or "", row[self.text] or ""
        old, new = words(before), words(after)
        if not (old and new):
            return {}
        if "no_gain" not in self.skip and repeats(new, old, self.max_rouge):
            return Drop("no_gain", f"ROUGE-L {f_measure(new, old):.2f} with {self.made_from}")
        if "overgrown" not in self.skip and len(new) > self.max_growth * len(old):
            return Drop("overgrown", f"{len(new)} words of {len(old)}")
        if self.keeps_facts and (gone := lost(before, after)):
            return Drop("lost_facts", listed(gone))
        return {}
