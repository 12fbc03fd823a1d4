"""The one abstraction: a stage takes rows and says what becomes of them.

A stage is a frozen pydantic model. Its fields are its parameters, the TypedDicts in its
signature are the columns it reads and writes. It holds no state: the same stage, row and
seed ask the model the same thing. A plain function is CPU work and gets no context; an
`async` one awaits and gets one. That holds for both kinds.

A stage sees a flat row (or table) whose keys are exactly what it reads, dotted where they
are nested: `verdicts.final_number.passed`. What it writes lands by one rule: a column of the
row schema lands there, any other in the struct of its folder, under the label of its use.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NotRequired, get_origin, get_type_hints

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from gristmill.engines.requests import Op
from gristmill.errors import InputError
from gristmill.formats.annotations import arrow, columns_of
from gristmill.storage.ids import digest
from gristmill.storage.rows import TEXT


@dataclass(frozen=True, slots=True)
class Drop:
    """Why a row leaves: a stable code to count by, and the evidence.

    >>> Drop("too_short", "3 < 10 characters").code
    'too_short'
    """

    code: str
    detail: str = ""


class Stage(BaseModel):
    """What both kinds share: parameters, columns, reject codes, roles.

    >>> from gristmill.selectors.longest import Longest
    >>> sorted(Longest(k=5).reads()), Longest(k=5).writes()
    (['instruction'], {'rank': DataType(int64)})
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: ClassVar[int] = 1
    """Raise it when the same parameters start to give different rows."""
    codes: ClassVar[frozenset[str]] = frozenset()
    """Every reject code it can give."""

    @property
    def identity(self) -> list[Any]:
        """Name what decides its rows besides code: the worked examples beside its file, too."""
        beside = Path(inspect.getfile(type(self))).with_suffix(".examples.jsonl")
        shown = [digest(beside.read_text("utf-8"))] if beside.exists() else []
        return [type(self).__name__, self.version, self.model_dump(mode="json"), *shown]

    def reads(self) -> frozenset[str]:
        """Return the columns that a row must have; override when a parameter decides."""
        hints = self._hints()
        return frozenset(columns_of(hints.get("row", hints.get("table"))))

    def optional(self) -> frozenset[str]:
        """Return those it reads only where they exist: `NotRequired` in its signature."""
        hints = self._hints()
        columns = columns_of(hints.get("row", hints.get("table")), include_extras=True)
        return frozenset(name for name, hint in columns.items() if get_origin(hint) is NotRequired)

    def judges(self) -> frozenset[str]:
        """Return the texts without which a row is lost here; override when one is optional."""
        return frozenset({"output"}) & (self.reads() - self.optional())

    def writes(self) -> dict[str, pa.DataType]:
        """Return the columns that a row has afterwards, with their types."""
        return {name: arrow(hint) for name, hint in columns_of(self._hints().get("return")).items()}

    def needs(self) -> dict[str, Op]:
        """Return the roles it calls, each with the kind of request: `{"judge": "choice"}`."""
        return {}

    @classmethod
    def awaits(cls) -> bool:
        """Say whether it gets a context."""
        return inspect.iscoroutinefunction(cls._procedure())

    @classmethod
    def _procedure(cls) -> Any:
        return cls.__call__

    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self._procedure(), include_extras=True)


class RowStage(Stage):
    """`__call__(row)` or `async __call__(row, ctx)`: columns, a Drop, or a list of both.

    >>> from gristmill.filters.length import Length
    >>> Length(min_chars=10)({"instruction": "Hi."})
    Drop(code='too_short', detail='3 < 10 characters')
    """

    __call__: ClassVar[Callable[..., Any]]
    """Returns the new columns, a Drop, or one of either per new row (never an empty list)."""

    @classmethod
    def expands(cls) -> bool:
        """Say whether its signature makes new rows."""
        return "list[" in str(inspect.signature(cls.__call__).return_annotation)


class TableStage(Stage):
    """`decide(table)` or `async decide(table, ctx)`: one decision per input row.

    >>> from gristmill.selectors.longest import Longest
    >>> table = pa.table({"instruction": ["Sort.", "Sort by age.", "Sort it."]})
    >>> Longest(k=2)(table)["instruction"].to_pylist()
    ['Sort by age.', 'Sort it.']
    """

    scope: ClassVar[Literal["table", "siblings"]] = "table"
    pools: ClassVar[bool] = False
    """Whether `decide` also gets the rows that earlier rounds accepted, None in the first."""

    decide: ClassVar[Callable[..., Any]]
    """Returns `id`, `keep`, `code`, `detail` and further columns, a line per input row."""

    @classmethod
    def _procedure(cls) -> Any:
        return cls.decide

    def __call__(self, table: Any) -> pa.Table:
        """Decide on your own Arrow or Polars table and return the kept rows, best rank first.

        A column `scores.embedding.vector` may also be a field of a struct, or just `vector`.
        """
        table = table if isinstance(table, pa.Table) else table.to_arrow()
        ids = pa.array([f"{i:09}" for i in range(len(table))])
        view = {"id": table["id"] if "id" in table.column_names else ids}
        view |= {name: self._column(table, name) for name in sorted(self.reads())}
        if self.awaits():
            raise InputError(f"{type(self).__name__} calls engines; use it in a recipe, and `run`")
        decided = self.decide(pa.table(view))
        places = pc.indices_nonzero(decided["keep"])
        if "rank" in decided.column_names:
            places = places.take(pc.sort_indices(decided["rank"].take(places)))
        return table.take(places)

    def _column(self, table: pa.Table, path: str) -> Any:
        head, *inner = path.split(".")
        for name in (path, path.rpartition(".")[2]):
            if name in table.column_names:
                return table[name]
        if inner and head in table.column_names:
            return pc.struct_field(table[head], inner)
        if path in self.optional():
            return pa.nulls(len(table))
        raise InputError(
            f"{type(self).__name__} reads the column '{path}', but the table has "
            f"{table.column_names}; rename one of them to '{path.rpartition('.')[2]}'"
        )


class VectorStage(TableStage):
    """Compares rows by the vector that a scorer such as `embedding` gave each of them."""

    of: str = Field(default="embedding", pattern=r"^\w+$")
    """Label of the scorer whose `vector` to use."""

    @property
    def column(self) -> str:
        """The column of vectors."""
        return f"scores.{self.of}.vector"

    def reads(self) -> frozenset[str]:
        """The column depends on `of`."""
        return frozenset({self.column})


def decisions(
    table: pa.Table,
    keep: Sequence[bool],
    code: str,
    detail: str | Sequence[str] = "",
    **columns: Any,
) -> pa.Table:
    """Return decisions for every row of `table`; one code serves all rows that leave.

    >>> decisions(pa.table({"id": ["a", "b"]}), [True, False], "twice")["code"].to_pylist()
    [None, 'twice']
    """
    details = [detail] * len(table) if isinstance(detail, str) else detail
    whys = [None if kept else why for kept, why in zip(keep, details, strict=True)]
    return pa.table(
        {
            "id": table["id"],
            "keep": pa.array(keep, pa.bool_()),
            "code": pa.array([None if kept else code for kept in keep], TEXT),
            "detail": pa.array(whys, TEXT),
            **columns,
        }
    )
