"""Values as their declared Arrow types hold them: what a stage wrote, before it lands in a row."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from gristmill.storage.rows import TEXT

PLAIN: Mapping[int, tuple[type, Callable[[Any], bool]]] = {
    TEXT.id: (str, lambda text: text.isascii() or bool(text.encode())),
    pa.float64().id: (float, math.isfinite),
    pa.int64().id: (int, lambda number: abs(number) < 2**63),
    pa.bool_().id: (bool, lambda _: True),
}
"""By type: the class of its values in Python, and whether one of that class is surely fit."""


def typed(value: Any, kind: pa.DataType) -> Any:
    """Return a value as its declared type holds it; numpy's numbers become Python's.

    Raises:
        ValueError: It is of another type, does not fit in it, or is not finite.
    """
    plain, is_fit = PLAIN.get(kind.id, (None, None))
    if value is None or (is_fit and type(value) is plain and is_fit(value)):
        return value
    if type(value) is dict and pa.types.is_struct(kind) and value.keys() <= {*kind.names}:
        return {name: typed(one, kind.field(name).type) for name, one in value.items()}
    try:
        made = pa.scalar(value, kind).as_py()
        json.dumps(made, allow_nan=False, default=str)
    except (TypeError, OverflowError, ValueError) as error:
        raise ValueError(f"{error}; write None for what could not be computed") from error
    if plain and made != value:
        raise ValueError(f"{kind} cannot hold it")
    return made if plain or (pa.types.is_list(kind) and kind.value_type.id in PLAIN) else value
