"""Do answers prefer an option: shares of the letters that were chosen beside those that are right.

Source: Fernandes et al., "A Llama walks into the 'Bar'", arXiv:2504.04945, section 4, for the two
shares.
Differs from the paper: a chi-square test says whether they differ by more than chance.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, ClassVar, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.pipelines.stage import TableStage, decisions

LEAST = 5
"""Times that every letter has to be right, the usual rule for Pearson's test."""


class Chosen(TypedDict):
    """What it writes; None where nothing could be read."""

    share: float | None
    """0..1: how often the row's letter was chosen."""
    right_share: float | None
    """0..1: how often it is right."""
    p: float | None
    """0..1, higher is better: the probability of such a difference by chance, one for all rows;
    None where a letter is right too seldom to say."""
    is_biased: bool | None


class OptionBias(TableStage):
    """Count letters over all rows whose answer could be read; no row leaves."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = frozenset()

    of: str = Field(default="verdicts.irac.letter", pattern=r"^\w+(\.\w+)*$")
    """Column with the letter that was chosen."""
    right: str = Field(default="meta.irac.letter", pattern=r"^\w+(\.\w+)*$")
    """Column with the right one."""
    below: float = Field(default=0.01, gt=0, lt=1)
    """Where `p` is below, answers are biased. Our choice."""

    def reads(self) -> frozenset[str]:
        """The columns are parameters."""
        return frozenset({self.of, self.right})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Chosen]:
        """(n, 3) -> (n, 8)."""
        pairs = zip(table[self.of].to_pylist(), table[self.right].to_pylist(), strict=True)
        read = [pair for pair in pairs if all(pair)]
        chosen, right = (Counter(pair[i] for pair in read) for i in (0, 1))
        p = chance(chosen, right)
        letters = [letter or None for letter in table[self.of].to_pylist()]
        made = {
            "share": [x and chosen[x] / max(1, len(read)) for x in letters],
            "right_share": [x and right[x] / max(1, len(read)) for x in letters],
            "p": [x and p for x in letters],
            "is_biased": [None if x is None or p is None else p < self.below for x in letters],
        }
        arrays = {name: pa.array(made[name], kind) for name, kind in self.writes().items()}
        return decisions(table, [True] * len(table), "", **arrays)


def chance(chosen: Counter[str], right: Counter[str]) -> float | None:
    """Return how probable it is that counts differ so much from those expected: Pearson's test.

    None where a letter is right fewer than `LEAST` times, or never and yet chosen: the statistic is
    no chi-square then, and one stray letter would be proof.

    >>> round(chance(Counter(A=40, B=20, C=20, D=20), Counter("ABCD" * 25)), 4)
    0.0074
    >>> chance(Counter(A=9, E=1), Counter(A=5, B=5))
    """
    from scipy.special import chdtrc  # type: ignore[import-untyped]  # slow to import

    if not right or any(right[letter] < LEAST for letter in chosen | right):
        return None
    distance = sum((chosen[letter] - n) ** 2 / n for letter, n in right.items())
    return float(chdtrc(len(right) - 1, distance)) if len(right) > 1 else 1.0
