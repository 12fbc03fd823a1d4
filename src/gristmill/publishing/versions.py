"""One side of a comparison: the rows of a run, of a dataset folder or of the Hub, as columns.

A column is read when it is looked at, and only that one: a side of a million rows with embeddings
takes the room of one column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from gristmill.errors import InputError
from gristmill.formats.hub import from_hub
from gristmill.publishing import croissant
from gristmill.publishing.files import RunFiles
from gristmill.text.shingles import Places

HUB = "hub:"
BATCH = 8192
"""Rows that are read together."""
Leaf = tuple[str, ...]
"""The names that lead to a value: a column, and the fields of its struct."""


@dataclass(frozen=True)
class Version:
    """Rows of one dataset."""

    name: str
    """What the person who compares calls it."""
    rows: ds.Dataset = field(repr=False)
    n: int
    run: RunFiles | None = None
    """Where they are those of a run."""

    @classmethod
    def of_run(cls, path: Path) -> Version:
        """Open the dataset of a finished run.

        Raises:
            InputError: There is no finished run here, or it has no dataset.
        """
        run = croissant.opened(path)
        if not run.data:
            why = "too many rows failed" if run.is_stopped else "its files were deleted"
            raise InputError(f"{path} has no dataset: {why}; run its recipe again")
        return cls(str(path), *_parquet(path, run.data), run)

    @classmethod
    def of_folder(cls, path: Path) -> Version:
        """Open a dataset folder: `data/*.parquet`, or Parquet files that lie in it.

        Raises:
            InputError: There is no Parquet file, or one cannot be read.
        """
        files = sorted(path.glob("data/*.parquet")) or sorted(path.glob("*.parquet"))
        if not files:
            raise InputError(
                f"{path} has no Parquet files; expected a run, a dataset folder with "
                "data/*.parquet, or hub:owner/name@revision"
            )
        croissant.check(path)
        return cls(str(path), *_parquet(path, files))

    @classmethod
    def of_hub(cls, text: str) -> Version:
        """Open every split of `hub:owner/name@revision`; the newest without a revision.

        Raises:
            InputError: It cannot be loaded.
        """
        name, _, revision = text.removeprefix(HUB).partition("@")
        table = from_hub(name, split="all", revision=revision or None)
        return cls(text, ds.dataset(table), len(table))

    @property
    def leaves(self) -> dict[Leaf, pa.DataType]:
        """The type of every column; of a struct, that of every value in it."""
        return {leaf: kind for top in self.rows.schema for leaf, kind in _leaves((top.name,), top)}

    def column(self, leaf: Leaf) -> pl.Series:
        """Read one column, (n,), in the order of the rows."""
        return pl.concat([series(pa.chunked_array([], self.leaves[leaf])), *self.parts(leaf)])

    def parts(self, leaf: Leaf) -> Iterator[pl.Series]:
        """Read one column piece by piece."""
        value = {"value": pc.field(*leaf)}
        for batch in self.rows.to_batches(
            columns=value, batch_size=BATCH, batch_readahead=2, fragment_readahead=1
        ):
            yield series(pa.chunked_array([batch[0]]))

    def some(self, leaf: Leaf, places: Places) -> list[Any]:
        """Read a column of a few rows as Python values."""
        found: list[Any] = self.column(leaf).gather(places).to_list()
        return found


def _parquet(path: Path, files: Sequence[Path]) -> tuple[ds.Dataset, int]:
    try:
        schemas = [pq.read_schema(file) for file in files]
        schema = reduce(lambda one, other: pa.unify_schemas([one, other]), schemas)
        rows = ds.dataset([str(file) for file in files], schema=schema, format="parquet")
        return rows, rows.count_rows()
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        said = str(error).splitlines()[0]
        raise InputError(
            f"{path} cannot be read: {said}; was a file of it edited by hand? Build the dataset "
            "again, or take it from where it was published"
        ) from error


def _leaves(path: Leaf, at: pa.Field) -> Iterator[tuple[Leaf, pa.DataType]]:
    if not pa.types.is_struct(at.type):
        yield path, at.type
        return
    for i in range(at.type.num_fields):
        inner = at.type.field(i)
        yield from _leaves((*path, inner.name), inner)


def series(column: pa.ChunkedArray) -> pl.Series:
    """Return an Arrow column as a series."""
    found = pl.from_arrow(column)
    assert isinstance(found, pl.Series)
    # What says nothing has no type either: it compares as missing text.
    return found.cast(pl.String) if found.dtype == pl.Null else found
