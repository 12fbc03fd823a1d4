"""What selections share: an order that ids decide, numbers that may be missing, a line per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.errors import InputError

Indices = np.ndarray[Any, np.dtype[np.int64]]
Numbers = np.ndarray[Any, np.dtype[np.float64]]


def by_id(table: pa.Table) -> Indices:
    """Return places in order of id, (n,) int64; equal ids keep the order of the table."""
    return _int64(pc.sort_indices(table["id"]))


def drawn(table: pa.Table, seed: int) -> Indices:
    """Return places in an order of chance, (n,) int64, that `seed` and the ids alone decide.

    A row's chance depends on no other row: what is drawn from a pool stays drawn when the pool
    grows, but for those that new rows push out.
    """
    order = by_id(table)
    again: Indices = order[np.argsort(_names(table, seed)[order], kind="stable")]
    return again


def drawn_by_weight(table: pa.Table, log_weights: Numbers, seed: int) -> Indices:
    """Return places in an order of chance in which heavy rows tend to come first, (m,) int64.

    Its first k are k draws without replacement, with a probability proportional to
    exp(log_weights), (n,) (Gumbel-top-k, Kool et al., arXiv:1903.06059). NaN is never drawn; a
    row's chance depends on no other row.
    """
    noise = -np.log(-np.log(np.clip(chances(table, seed), 1e-300, 1 - 1e-16)))
    return best_first(log_weights + noise, by_id(table))


def chances(table: pa.Table, seed: int) -> Numbers:
    """Return a number between 0 and 1 per row, (n,), that `seed` and the row's id alone decide."""
    found: Numbers = (_names(table, seed).astype(np.float64) + 0.5) / 2.0**64
    return found


def _names(table: pa.Table, seed: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return 64 bits of chance per row, (n,) uint64."""
    key = seed.to_bytes(8, "big", signed=True)
    made = b"".join(
        blake2b(str(i).encode(), digest_size=8, key=key).digest() for i in table["id"].to_pylist()
    )
    return np.frombuffer(made, ">u8").astype(np.uint64)


def numbers(column: pa.ChunkedArray | pa.Array) -> Numbers:
    """Return a column as (n,) float64; null, infinite and not a number become NaN."""
    if not is_numeric(column.type):
        raise InputError(f"a score must be a number, found a column of {column.type}")
    values = pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(values), values, np.nan)


def ratings(column: pa.ChunkedArray | pa.Array) -> list[Any]:
    """Return a number, a list of them, or None per row, (n,)."""
    if not is_numeric(getattr(column.type, "value_type", column.type)):
        raise InputError(f"a rating must be a number, found a column of {column.type}")
    return column.to_pylist()  # type: ignore[no-any-return]


def is_numeric(kind: pa.DataType) -> bool:
    """Say whether a type holds numbers, or nothing but nulls."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind))


def best_first(scores: Numbers, order: Indices) -> Indices:
    """Return the places that have a score, highest first; ties keep `order`."""
    there = order[~np.isnan(scores[order])]
    ranked: Indices = there[np.argsort(-scores[there], kind="stable")]
    return ranked


def ranked(column: pa.ChunkedArray | pa.Array, order: Indices) -> Indices:
    """Return the places in `order`, highest number first; those without one come last."""
    scores = numbers(column)
    return best_first(np.where(np.isnan(scores), -np.inf, scores), order)


def picked(
    table: pa.Table,
    picks: Sequence[int] | Indices,
    codes: str | np.ndarray[Any, Any],
    told: Mapping[str, str | Sequence[str]],
    **columns: Any,
) -> pa.Table:
    """Return the decisions: the rows at `picks` stay and get their rank, 0 first.

    Args:
        table: Every row, with its `id`.
        picks: Places that stay, best first.
        codes: Why a row leaves that is not among them: one code, or (n,) codes.
        told: The detail of every code: one text, or n.
        columns: Further columns; NaN of a float column becomes null.
    """
    n = len(table)
    rank = np.full(n, -1, np.int64)
    rank[np.asarray(picks, np.int64)] = np.arange(len(picks))
    gone = rank < 0
    why = np.full(n, None, object)
    why[gone] = codes if isinstance(codes, str) else codes[gone]
    detail = np.full(n, None, object)
    for code, text in told.items():
        at = np.flatnonzero(why == code)
        detail[at] = text if isinstance(text, str) else [text[i] for i in at]
    made = {
        name: pa.array(value, from_pandas=True) if isinstance(value, np.ndarray) else value
        for name, value in columns.items()
    }
    return pa.table(
        {
            "id": table["id"],
            "keep": pa.array(~gone, pa.bool_()),
            "code": pa.array(why, pa.string()),
            "detail": pa.array(detail, pa.string()),
            "rank": pa.array(rank, mask=gone),
            **made,
        }
    )


def _int64(array: Any) -> Indices:
    return np.asarray(array.to_numpy(zero_copy_only=False), np.int64)
