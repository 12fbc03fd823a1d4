"""Keep rows for which a condition holds: `scores.ifd.ppl < 1 and words(output) > 5`.

The condition is data: parsed by a small grammar (`text/conditions.py`) into a Polars expression.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import field_validator

from gristmill.errors import InputError
from gristmill.pipelines.stage import TableStage
from gristmill.storage.rows import TEXT
from gristmill.text.conditions import parse

SHOWN = 40
"""Characters of a value that the detail shows."""


class Where(TableStage):
    """Keep a row where the condition is true; the detail of the others shows the values it has.

    Where a missing value decides, the condition is neither true nor false, and the row leaves
    with a code of its own. Nothing is decided row by row: all rows are there first.
    """

    codes: ClassVar[frozenset[str]] = frozenset({"condition_false", "condition_unknown"})

    where: str
    """Comparisons joined by `and`, `or` and `not`. Columns are dotted where they are nested."""
    unknown: Literal["reject", "keep"] = "reject"
    """What becomes of a row whose missing values decide."""

    @field_validator("where")
    @classmethod
    def _parses(cls, text: str) -> str:
        parse(text)
        return text

    def reads(self) -> frozenset[str]:
        """The columns that the condition names."""
        return frozenset(parse(self.where).columns)

    def judges(self) -> frozenset[str]:
        """No text has to be there: a condition may ask for rows without one."""
        return frozenset()

    def writes(self) -> dict[str, pa.DataType]:
        """It only decides."""
        return {}

    def decide(self, table: pa.Table) -> pa.Table:
        """Evaluate over all rows at once: (n, columns) -> (n, 4)."""
        held = self._held(table)
        keep = [self.unknown == "keep" if value is None else value for value in held]
        codes = {True: None, False: "condition_false", None: "condition_unknown"}
        return pa.table(
            {
                "id": table["id"],
                "keep": pa.array(keep, pa.bool_()),
                "code": pa.array(
                    [None if k else codes[v] for k, v in zip(keep, held, strict=True)], TEXT
                ),
                "detail": pa.array(self._details(table, keep), TEXT),
            }
        )

    def _held(self, table: pa.Table) -> list[bool | None]:
        """Return the condition's value for every row."""
        import polars as pl
        from polars import selectors as cs

        condition = parse(self.where)
        frame = pl.DataFrame(pl.from_arrow(table)).with_columns(cs.float().fill_nan(None))
        for name in sorted(condition.truths):
            if frame.schema[name] not in (pl.Boolean, pl.Null):
                raise InputError(
                    f"where: '{name}' stands alone, but is {frame.schema[name]} and no Boolean; "
                    f"compare it with something in: {self.where}"
                )
        try:
            held: list[bool | None] = frame.select(held=condition.expression)["held"].to_list()
        except pl.exceptions.PolarsError as error:
            kinds = {name: str(frame.schema[name]) for name in sorted(condition.columns)}
            raise InputError(f"where: {self.where}: {error}; the columns are {kinds}") from error
        return held

    def _details(self, table: pa.Table, keep: Sequence[bool]) -> list[str | None]:
        names = sorted(self.reads())
        columns = [table[name].to_pylist() for name in names]
        rows: Any = zip(*columns, strict=True)
        return [
            None if kept else ", ".join(f"{n}={_cut(v)}" for n, v in zip(names, row, strict=True))
            for kept, row in zip(keep, rows, strict=True)
        ]


def _cut(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
