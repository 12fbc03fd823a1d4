"""The concept consistency graph: which concepts were seen together, and which only apart.

Source: the rule of He et al., PASER, arXiv:2502.12594: training rows that join concepts which other
rows keep apart take back what those taught.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations


class ConceptGraph:
    """Concepts that were seen in pairs. A row with one concept adds nothing to it."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.together: set[tuple[str, str]] = set()

    def accepts(self, concepts: Iterable[str]) -> bool:
        """Take in a row, unless it joins two known concepts that were only seen apart."""
        pairs = list(combinations(sorted(set(concepts)), 2))
        if any(self.known.issuperset(pair) and pair not in self.together for pair in pairs):
            return False
        self.together.update(pairs)
        self.known.update(name for pair in pairs for name in pair)
        return True
