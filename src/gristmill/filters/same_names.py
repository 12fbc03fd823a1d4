"""Drop rows whose program defines the same functions, or the same classes, as an earlier row's.

Source: Wei et al., "SelfCodeAlign", arXiv:2410.24198, appendix on data selection.
Differs from the paper: only names at the left edge count, so that methods do not; they are found
by rule, because what a model wrote is not parsed outside the sandbox.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, TypedDict

import pyarrow as pa

from gristmill.pipelines.stage import TableStage, decisions
from gristmill.text.fences import python_code

DEFINED = re.compile(r"(?m)^(?:async +)?(def|class) +(\w+)")


class Program(TypedDict):
    """What it reads."""

    output: str | None


class Nothing(TypedDict):
    """It writes no columns."""


class SameNames(TableStage):
    """Keep the first row in canonical order of each set of names; the detail names it.

    Case and underscores make no other name. Functions are compared with functions, classes with
    classes; a row that has neither is like no other.
    """

    codes: ClassVar[frozenset[str]] = frozenset({"same_names"})

    def decide(self, table: Annotated[pa.Table, Program]) -> Annotated[pa.Table, Nothing]:
        """O(n): the names of the rows that stay are remembered."""
        first = dict[tuple[str, frozenset[str]], str]()
        keep, detail = list[bool](), list[str]()
        for row_id, output in zip(*(table[c].to_pylist() for c in ("id", "output")), strict=True):
            sets = _names(output or "")
            seen = next((known for known in sets if known in first), None)
            keep.append(seen is None)
            detail.append(f"{', '.join(sorted(seen[1]))} of {first[seen]}" if seen else "")
            if seen is None:
                first |= dict.fromkeys(sets, row_id)
        return decisions(table, keep, "same_names", detail)


def _names(output: str) -> list[tuple[str, frozenset[str]]]:
    """Return the functions and the classes of a program, without an empty set of them."""
    found = DEFINED.findall(python_code(output) or output)
    sets = {
        kind: frozenset(name.replace("_", "").lower() for of, name in found if of == kind)
        for kind in ("def", "class")
    }
    return [(kind, names) for kind, names in sets.items() if names]
