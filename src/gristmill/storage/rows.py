"""The row: its Arrow schema, its order, and the way between Python rows and Arrow tables.

In memory a row is a dict and may leave columns out; in a file every column is there. The
structs (`scores`, `weights`, `verdicts`, `picks`) get their fields from the stages of the
recipe: `verdicts.<label>.<column>`. A struct without fields is left out, because Parquet
cannot hold one. `meta` has the same shape but is JSON, because its columns are many and rare.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from gristmill.errors import StageError

Row = dict[str, Any]
Types = Mapping[str, pa.DataType]

TEXT = pa.string()
TURN = pa.struct({"role": TEXT, "content": TEXT, "extra": TEXT})
"""One chat turn; `extra` is JSON of whatever else the turn carried (tool calls, name, parts)."""
GEN = pa.struct(
    {
        "model": TEXT,
        "revision": TEXT,
        "template": TEXT,
        "finish_reason": TEXT,
        "prompt_tokens": pa.int64(),
        "tokens": pa.int64(),
    }
)
SYSTEM: Types = {
    "id": TEXT,
    "parents": pa.list_(TEXT),
    "root": TEXT,
    "stage": TEXT,
    "round": pa.int32(),
}
"""Columns that only the core writes. `stage` is where the row was made."""
CONTENT: Types = {
    "instruction": TEXT,
    "input": TEXT,
    "output": TEXT,
    "messages": pa.list_(TURN),
    "prompt": TEXT,
    "chosen": TEXT,
    "rejected": TEXT,
    "lang": TEXT,
    "source": TEXT,
    "license": TEXT,
    "flags": pa.list_(TEXT),
    "gen": GEN,
}
"""Columns with a fixed meaning, that seeds bring and stages write."""
CLEARED = ("output", "messages", "gen", "scores", "verdicts", "picks")
"""What a new instruction makes untrue."""
STRUCTS = ("scores", "weights", "verdicts", "picks")
END: Types = dict.fromkeys(("end", "end_at", "end_code", "end_detail", "end_error"), TEXT)
"""How and where a row's way through one unit ended: kept, rejected, failed or expanded.

The names are long because they stand beside a user's columns: seeds often bring a `code`.
"""


def canonical(row: Row) -> tuple[Any, ...]:
    """Order rows by round, seed and id: the same in every run."""
    return row["round"], row["root"], row["id"]


def schema_of(types: Types, *, ends: bool = False) -> pa.Schema:
    """Return the schema of a recipe's rows from the types of its dotted columns."""
    tree: dict[str, dict[str, dict[str, pa.DataType]]] = {name: {} for name in STRUCTS}
    plain = {}
    for path, kind in types.items():
        head, *rest = path.split(".")
        if head in tree:
            tree[head].setdefault(rest[0], {})[rest[1]] = kind
        elif head != "meta" and path not in SYSTEM and path not in CONTENT:
            plain[path] = kind
    structs = {
        name: pa.struct({label: pa.struct(fields) for label, fields in labels.items()})
        for name, labels in tree.items()
        if labels
    }
    tail = {"meta": TEXT, "calls": pa.list_(TEXT), **(END if ends else {})}
    return pa.schema({**SYSTEM, **CONTENT, **plain, **structs, **tail})


def to_table(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    """Return the rows as one table; refuse values that are not of the declared type."""
    packed = [{**row, "meta": json.dumps(row.get("meta") or {}, sort_keys=True)} for row in rows]
    try:
        return pa.Table.from_pylist(packed, schema=schema).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
        raise StageError(f"a column is not of its declared type: {error}") from error


def to_rows(table: pa.Table) -> list[Row]:
    """Return the rows of a table, with `meta` unpacked."""
    return [{**row, "meta": json.loads(row["meta"])} for row in table.to_pylist()]


def look(row: Row, path: str) -> Any:
    """Return the value under a dotted path; None when any part of it is missing."""
    value: Any = row
    for part in path.split("."):
        value = value.get(part) if value else None
    return value


def put(row: Row, path: str, value: Any) -> None:
    """Set the value under a dotted path of a row that is not shared; inner dicts are copied."""
    *heads, last = path.split(".")
    for part in heads:
        row[part] = {**(row.get(part) or {})}
        row = row[part]
    row[last] = value


def view_table(rows: Sequence[Row], reads: Iterable[str], types: Types) -> pa.Table:
    """Return a flat table of `id` and the columns that a stage reads, in dotted names."""
    names = ["id", *sorted(reads)]
    arrays = [pa.array([look(row, name) for row in rows], types.get(name)) for name in names]
    return pa.table(arrays, names=names)
