"""Columns from annotations: the keys of the TypedDicts in a signature, and their Arrow types."""

from __future__ import annotations

import types
from typing import (
    Annotated,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import pyarrow as pa

from gristmill.errors import StageError
from gristmill.storage.rows import TEXT

SCALARS = {str: TEXT, int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def arrow(hint: Any) -> pa.DataType:
    """Return the Arrow type of an annotation: scalars, lists, TypedDicts, Literals, `| None`."""
    if hint in SCALARS:
        return SCALARS[hint]
    if is_typeddict(hint):
        return pa.struct({name: arrow(kind) for name, kind in get_type_hints(hint).items()})
    origin, args = get_origin(hint), get_args(hint)
    if origin is list:
        return pa.list_(arrow(args[0]))
    if origin is Literal:
        return arrow(type(args[0]))
    inner = [arg for arg in args if arg is not type(None)]
    if origin in (Union, types.UnionType) and len(inner) == 1:
        return arrow(inner[0])
    raise StageError(f"no column can be of type {hint}; use str, int, float, bool, list or None")


def columns_of(hint: Any, *, include_extras: bool = False) -> dict[str, Any]:
    """Collect the keys of every TypedDict in an annotation such as `list[X | Drop]`."""
    if is_typeddict(hint):
        return get_type_hints(hint, include_extras=include_extras)
    args = get_args(hint)
    inner = args[1:] if get_origin(hint) is Annotated else args
    found = [columns_of(arg, include_extras=include_extras) for arg in inner]
    return {name: kind for columns in found for name, kind in columns.items()}
