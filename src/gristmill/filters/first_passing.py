"""Keep one response per instruction: one of the siblings that passed.

Source: Wei et al., "SelfCodeAlign", arXiv:2410.24198, appendix on data selection, where at most
one response of an instruction stays.
Differs from the paper: siblings are compared directly, not by removing equal instructions.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from gristmill.pipelines.stage import TableStage
from gristmill.storage.rows import TEXT


class FirstPassing(TableStage):
    """Keep the first sibling in canonical order whose `verdicts.<of>.passed` is true.

    That is the order of ids: the same in every run, but neither the first that was drawn nor the
    best.
    """

    scope: ClassVar[Literal["table", "siblings"]] = "siblings"
    codes: ClassVar[frozenset[str]] = frozenset({"another_passed", "not_passed"})

    of: str = Field(default="unit_tests", pattern=r"^\w+$")
    """Label of the verifier."""

    def reads(self) -> frozenset[str]:
        """The column depends on `of`."""
        return frozenset({f"verdicts.{self.of}.passed"})

    def writes(self) -> dict[str, pa.DataType]:
        """It only decides."""
        return {}

    def decide(self, table: Any) -> pa.Table:
        """(n, 2) -> (n, 4): at most one row stays."""
        passed = [bool(value) for value in table[f"verdicts.{self.of}.passed"].to_pylist()]
        first = passed.index(True) if True in passed else None
        codes = ["another_passed" if value else "not_passed" for value in passed]
        if first is not None:
            codes[first] = ""
        return pa.table(
            {
                "id": table["id"],
                "keep": pa.array([not code for code in codes], pa.bool_()),
                "code": pa.array([code or None for code in codes], TEXT),
                "detail": pa.array(
                    [
                        f"{sum(passed)} of {len(passed)} siblings" if code else None
                        for code in codes
                    ],
                    TEXT,
                ),
            }
        )
