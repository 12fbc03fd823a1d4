"""Values, types and names of columns that users bring. Every type comes from a full scan.

A column has one type or is text. Where its values share none that holds all of them exactly
(a number here and a text there, objects with different keys, an integer above 64 bits), texts
stay as they are and everything else becomes JSON text.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from gristmill.storage.rows import CONTENT, END, STRUCTS, SYSTEM, TEXT

OWN = frozenset({*SYSTEM, *STRUCTS, *END, "meta", "calls"})
"""Columns that only the core writes: a user's column of that name gets another one."""
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,2})?")
"""What a number looks like in CSV; 007, +49, nan and 1_000 are texts."""
DEEPEST = 64
"""Levels of nesting that a value may have; orjson stops at 254."""


def plain(value: Any, level: int = 0) -> Any:
    """Return a value that JSON, Arrow and UTF-8 can hold; NaN and infinity become None.

    A lone surrogate becomes U+FFFD. Raises ValueError for what is nested too deeply.
    """
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _text(value)
    if kind is int:
        return value if -(2**63) <= value < 2**63 else str(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if level > DEEPEST:
        raise ValueError(f"nested more than {DEEPEST} levels deep")
    if kind is dict:
        return {_text(str(key)): plain(inner, level + 1) for key, inner in value.items()}
    if kind is list or kind is tuple:
        return [plain(inner, level + 1) for inner in value]
    if value is None or kind is bool or isinstance(value, datetime | date):
        return value
    if kind is bytes:
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return _text(str(value))


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def is_broken(value: Any) -> bool:
    """Say whether there is a lone surrogate anywhere in a value."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return True
    return False


def type_of(values: Sequence[Any], level: int = 0) -> pa.DataType | None:
    """Return the type that holds all values exactly; None when there is none."""
    values = [value for value in values if value is not None]
    kinds = {type(value) for value in values}
    if not kinds or kinds == {str}:
        return TEXT
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    if kinds <= {int, float}:
        whole = (value for value in values if isinstance(value, int))
        return pa.float64() if all(abs(value) <= 2**53 for value in whole) else None
    if kinds == {list} and level < DEEPEST:
        inner = type_of([item for value in values for item in value], level + 1)
        return inner and pa.list_(inner)
    if kinds == {dict} and level < DEEPEST:
        return _struct(values, level)
    if len(kinds) == 1 and kinds <= {datetime, date}:
        try:
            return pa.array(values).type
        except pa.ArrowInvalid:  # with and without a time zone
            return None
    return None


def _struct(values: Sequence[dict[str, Any]], level: int) -> pa.DataType | None:
    names = values[0].keys()
    if not names or any(value.keys() != names for value in values):
        return None
    fields = {name: type_of([value[name] for value in values], level + 1) for name in names}
    return pa.struct(fields) if all(fields.values()) else None


def as_text(value: Any) -> str | None:
    """Return a value of a column without a type of its own: text as it is, the rest as JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def number_type(values: Iterable[str | None]) -> type[int] | type[float] | None:
    """Return int or float where it says what every text of a CSV column says; else None."""
    texts = [value for value in values if value]
    if texts and all(NUMBER.fullmatch(text) for text in texts):
        return int if not any(set(text) & set(".eE") for text in texts) else float
    return None


def free_names(names: Iterable[str]) -> dict[str, str]:
    """Return new names for those that the core owns, that hold a dot, or that are empty."""
    names = list(names)
    taken, renamed = set(names), {}
    for name in names:
        new = f"{name}_original" if name in OWN else name.replace(".", "_").strip() or "unnamed"
        if new != name:
            while new in taken:
                new += "_"
            taken.add(new)
            renamed[name] = new
    return renamed


def misfits(name: str, values: Iterable[Any]) -> bool:
    """Say whether a column's values cannot be those of the row schema's column of that name."""
    kind = CONTENT.get(name)
    if kind is None:
        return False
    if name == "messages":
        said = [value for value in values if value is not None]
        return any(not isinstance(v, list) or any(map(_is_no_turn, v)) for v in said)
    if name == "gen":
        keys = {field.name for field in kind}
        return any(not isinstance(v, dict) or v.keys() != keys for v in values if v is not None)
    if name == "flags":
        return any(not _is_texts(value) for value in values if value is not None)
    return any(isinstance(value, dict | list) for value in values)


def _is_no_turn(value: Any) -> bool:
    return not isinstance(value, dict) or value.keys() != {"role", "content", "extra"}


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
