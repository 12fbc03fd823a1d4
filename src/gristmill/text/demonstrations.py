"""Demonstrations of optimization problems: variables, an objective, constraints one by one.

Source: Yang et al., "OptiBench Meets ReSocratic", arXiv:2407.09887, section 4. A section is a
heading, one line that people understand, and lines that begin with `//` and say it formally.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

HEADING = re.compile(r"^##\s*(Variables|Objective|Constraint\s+\d+)\s*(?::\s*)?$")
FORMAL = "//"
MAX_SECTIONS = 7
"""Of a demonstration; what comes after them is cut off."""
DECIMALS, MOST_APART = 5, 1e-4
"""Results are rounded, and then differ by less than this."""


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a problem."""

    heading: str
    text: str
    formal: tuple[str, ...]

    def __str__(self) -> str:
        """Return it as it is written."""
        return "\n".join([f"## {self.heading}", self.text, *self.formal])


def sections(reply: str) -> list[Section]:
    """Return the sections of a reply up to the first that is not in its place or form."""
    lines = [line.strip() for line in reply.split("\n") if line.strip()]
    starts = [i for i, line in enumerate(lines) if line.startswith("#")]
    found: list[Section] = []
    for start, end in pairwise([*starts, len(lines)]):
        wanted = ["Variables", "Objective"][len(found)] if len(found) < 2 else ""
        wanted = wanted or f"Constraint {len(found) - 1}"
        heading = HEADING.match(lines[start])
        text, *formal = lines[start + 1 : end] or [FORMAL]
        if not heading or " ".join(heading[1].split()) != wanted or text.startswith(FORMAL):
            break
        if not formal or not all(line.startswith(FORMAL) for line in formal):
            break
        found.append(Section(wanted, text, tuple(formal)))
    return found[:MAX_SECTIONS]


def joined(parts: Sequence[Section]) -> str:
    """Return sections as one text."""
    return "\n\n".join(map(str, parts))


def has_table(text: str) -> bool:
    """Say whether a text has a Markdown table: a row of cells, and a rule below it."""
    lines = text.split("\n")
    return any(
        "|" in above and {"|", "-"} <= set(rule) <= set("|-: \t") for above, rule in pairwise(lines)
    )


def same_results(left: Mapping[str, float], right: Mapping[str, float]) -> bool:
    """Say whether two programs gave the same values for the same names."""
    return left.keys() == right.keys() and all(
        abs(round(left[name], DECIMALS) - round(right[name], DECIMALS)) < MOST_APART
        for name in left
    )


def same_objective(left: float, right: float) -> bool:
    """Say whether two objectives agree, relative to their size."""
    return math.isclose(left, right, rel_tol=MOST_APART, abs_tol=MOST_APART / 100)
