"""Vectors: from a column of lists to one array."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.errors import InputError
from gristmill.geometry.picks import Indices, by_id, is_numeric

Array = np.ndarray[Any, np.dtype[np.float32]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
NEAR = (1e-15, 1e15)
"""Lengths between which float32 holds the squares, also of vectors of many numbers."""


def vectors(column: pa.ChunkedArray | pa.Array) -> tuple[Array, Mask]:
    """Return the vectors that are there and where they are, (m, d) float32 and (n,) bool.

    Null, empty and not finite is not there. InputError when lengths differ, or it is no list.
    """
    kind = column.type
    if not (pa.types.is_null(kind) or is_numeric(getattr(kind, "value_type", pa.string()))):
        raise InputError(f"a vector must be a list of numbers, found a column of {kind}")
    column = pc.cast(column, pa.list_(pa.float32())) if pa.types.is_null(kind) else column
    chunked = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
    lengths = pc.fill_null(pc.list_value_length(chunked), 0).to_numpy()
    there = lengths > 0
    sizes = np.unique(lengths[there])
    if len(sizes) > 1:
        raise InputError(f"vectors have {', '.join(map(str, sizes))} numbers, expected one length")
    kept = chunked.filter(pa.array(there))
    flat = pc.list_flatten(kept).to_numpy() if len(kept) else np.empty(0)
    array = np.ascontiguousarray(flat, np.float32).reshape(len(kept), -1 if len(kept) else 0)
    finite = np.isfinite(array).all(axis=1)
    there[np.flatnonzero(there)[~finite]] = False
    return array[finite], there


def located(table: pa.Table, column: str) -> tuple[Array, Indices]:
    """Return the vectors in order of id, (m, d) float32, and the places of their rows, (m,)."""
    points, there = vectors(table[column])
    order = by_id(table)
    order = order[there[order]]
    return points[(np.cumsum(there) - 1)[order]], order


def unit(array: Array) -> Array:
    """Return vectors of length 1, (n, d) -> (n, d) float32; a zero vector stays zero."""
    with np.errstate(over="ignore", under="ignore"):
        lengths = np.linalg.norm(array, axis=1, keepdims=True)
    is_near = (lengths > NEAR[0]) & (lengths < NEAR[1])
    scaled: Array = (array / np.where(is_near, lengths, 1)).astype(np.float32, copy=False)
    # Squares of such numbers leave float32: those few vectors are divided by their largest first.
    if len(far := np.flatnonzero(~is_near.ravel())):
        largest = np.abs(array[far]).max(axis=1, initial=0, keepdims=True)
        some = array[far] / np.where(largest == 0, 1, largest)
        lengths = np.linalg.norm(some, axis=1, keepdims=True)
        scaled[far] = some / np.where(lengths == 0, 1, lengths)
    return scaled
