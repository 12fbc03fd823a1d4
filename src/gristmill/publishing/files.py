"""A run directory as its readers see it: the ledger, the locked recipe, and rows as columns.

A row is in the shards once per unit that it passed through; its last line says how it ended.
Nothing here needs the answer store, the engines or the code that made the run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from gristmill.errors import InputError
from gristmill.storage.ledger import label_of
from gristmill.storage.rows import END, SYSTEM, Row

ENDINGS = ["id", "parents", "root", "stage", "round", *END]
NEEDED = frozenset({*SYSTEM, "meta"})
"""Columns of a dataset's file without which nobody could tell its rows apart."""
AGAIN = "; run its recipe again"
VERSION = re.compile(r"(?:^|-)v(\d{4,})[-.]")
"""In the name of a file of a dataset that grows: the version that brought it."""


@dataclass(frozen=True)
class RunFiles:
    """One finished run. Opening reads the ledger and the recipe; rows are read when asked for."""

    path: Path
    note: dict[str, Any]
    """What `ledger.json` says."""
    lock: dict[str, Any]
    """What `recipe.lock.yaml` says."""

    @classmethod
    def open(cls, path: Path) -> RunFiles:
        """Read a run's own files.

        Raises:
            InputError: There is no finished run here.
        """
        try:
            note = json.loads((path / "ledger.json").read_text(encoding="utf-8"))
            lock = yaml.safe_load((path / "recipe.lock.yaml").read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            found = "an unfinished run" if (path / "recipe.lock.yaml").exists() else "no run"
            raise InputError(
                f"{path}: found {found} (no {Path(error.filename).name}), expected a finished one; "
                "run its recipe again to finish it, or name a folder under runs/"
            ) from error
        except (json.JSONDecodeError, yaml.YAMLError) as error:
            raise InputError(f"{path}: the run's files are damaged: {error}") from error
        return cls(path, note, lock)

    @property
    def is_stopped(self) -> bool:
        """Whether too many rows failed, so that no dataset was written."""
        return bool(self.note["stop"] == "error_rate")

    @property
    def recipe(self) -> dict[str, Any]:
        """The recipe as it ran."""
        return self.lock.get("recipe") or {}

    def benchmarks(self, label: str) -> list[str]:
        """Return the names of the benchmarks that a stage compared rows with."""
        pins = (self.lock.get("pins") or {}).get(label) or ()
        return [pin.rpartition("=")[0] for pin in pins]

    @property
    def name(self) -> str:
        """The recipe's name."""
        return str(self.recipe.get("name") or self.path.name)

    @property
    def stages(self) -> list[dict[str, Any]]:
        """The lines of the ledger, in order."""
        return list(self.note["stages"])

    @cached_property
    def uses(self) -> dict[str, str]:
        """The path of every stage by its label: `{"ifd": "scorers.ifd"}`."""
        stages = self.recipe.get("stages") or []
        return {label_of(stage): stage["use"] for stage in stages}

    @cached_property
    def places(self) -> dict[str, int]:
        """The position of every label in the ledger; seeds come before all of them."""
        return {"seeds": -1, **{line["stage"]: i for i, line in enumerate(self.stages)}}

    @cached_property
    def files(self) -> list[Path]:
        """The shards, in the order in which rows went through them."""
        return [self.path / name for name in self.note["files"]]

    @cached_property
    def data(self) -> list[Path]:
        """The dataset's Parquet files: train before validation, each in order.

        A run that its error rate stopped has none: what may lie there is from an earlier end.

        Raises:
            InputError: One was edited so that it cannot be read, or its rows not be told apart.
        """
        if self.is_stopped:
            return []
        folder = self.path / "dataset" / "data"
        found = [*sorted(folder.glob("train-*.parquet")), *sorted(folder.glob("validation-*"))]
        files = [file for file in found if not self.is_cut_short(file)]
        for file in files:
            _check_readable(file)
        return files

    @cached_property
    def schema(self) -> pa.Schema:
        """The schema of the shards."""
        return pq.read_schema(self.files[0]) if self.files else pa.schema([])

    @cached_property
    def data_schema(self) -> pa.Schema:
        """The schema of the dataset."""
        return pq.read_schema(self.data[0]) if self.data else pa.schema([])

    @cached_property
    def left_out(self) -> dict[str, dict[str, Any]]:
        """What the exports do not have although the dataset does, by the names of their files."""
        path = self.path / "dataset" / "exports" / "notes.json"
        told: dict[str, dict[str, Any]] = {}
        if path.exists():
            told = json.loads(path.read_text(encoding="utf-8"))
        if not self.note.get("versions"):
            return told
        known = {Path(name).stem for name in self.note["dataset"]}
        return {name: note for name, note in told.items() if Path(name).stem in known}

    @cached_property
    def bills(self) -> list[dict[str, Any]]:
        """What every command on this run paid, the first one first; replays pay nothing."""
        files = sorted((self.path / "costs").glob("*.json"))
        return [json.loads(file.read_text()) for file in files if not self.is_cut_short(file)]

    @cached_property
    def kept(self) -> pl.Series:
        """The ids of the dataset's rows, in its order."""
        if not self.data:
            return pl.Series("id", [], pl.String)
        return pl.concat([pl.read_parquet(file, columns=["id"]) for file in self.data])["id"]

    @cached_property
    def langs(self) -> list[str]:
        """The languages that the dataset's rows name."""
        if "lang" not in self.data_schema.names:
            return []
        langs = pl.concat([pl.read_parquet(file, columns=["lang"]) for file in self.data])
        return list(langs["lang"].drop_nulls().unique().sort())

    @cached_property
    def rows(self) -> pl.DataFrame:
        """One line per row that ever was: where it was made, how and where it ended."""
        if not self.files:
            return pl.DataFrame(schema=dict.fromkeys(ENDINGS, pl.String))
        rows = self.scan().select(ENDINGS).collect()
        return rows.unique("id", keep="last", maintain_order=True)

    def is_cut_short(self, file: Path) -> bool:
        """Whether a file is of no version: it never came, or a later one has replaced the file."""
        n = len(self.note.get("versions") or ())
        return bool(n) and (is_after(file, n) or file in self.replaced)

    @cached_property
    def replaced(self) -> list[Path]:
        """The files of a dataset that grows that a later version has others for; they may go."""
        known = {*self.files, *(self.path / "dataset" / name for name in self.note["dataset"])}
        places = ("shards/*/*.parquet", "dataset/data/*", "dataset/exports/*/*")
        found = (file for place in places for file in sorted(self.path.glob(place)))
        n = len(self.note.get("versions") or ())
        return [
            file for file in found
            if n and VERSION.search(file.name) and file not in known and not is_after(file, n)
        ]  # fmt: skip

    def scan(self) -> pl.LazyFrame:
        """Return every line of every shard, in order."""
        return pl.scan_parquet(self.files)

    def last_of(self, ids: Iterable[str]) -> list[Row]:
        """Return the last line of each row, unpacked, in the order asked for."""
        found = {row["id"]: row for row in self.lines_of(ids)}
        return [found[i] for i in ids if i in found]

    def lines_of(self, ids: Iterable[str]) -> list[Row]:
        """Return every line of some rows, in the order in which they went through the run.

        `unit` is the folder of the shard that a line is from.
        """
        wanted = list(ids)
        if not wanted or not self.files:
            return []
        scan = pl.scan_parquet(self.files, include_file_paths="unit")
        lines = scan.filter(pl.col("id").is_in(wanted)).collect().to_dicts()
        return [
            {**row, "meta": json.loads(row["meta"] or "{}"), "unit": Path(row["unit"]).parent.name}
            for row in lines
        ]

    def numbers(self, path: str) -> pl.DataFrame:
        """Return `id` and `value` of a dotted numeric column, one line per row that has it.

        A row made after the stage inherits its parent's value and is left out.
        """
        label = path.split(".")[1]
        value = _field(path).cast(pl.Float64).alias("value")
        found = self._reached(label, [value]).drop_nulls("value")
        return found.filter(pl.col("value").is_finite())

    def marks(self, label: str, fields: Sequence[str]) -> pl.DataFrame:
        """Return `id` and some fields of a verdict, one line per row that got one."""
        columns = [_field(f"verdicts.{label}.{name}").alias(name) for name in fields]
        return self._reached(label, columns, _field(f"verdicts.{label}").is_not_null())

    def _reached(
        self, label: str, columns: list[pl.Expr], reached: pl.Expr | None = None
    ) -> pl.DataFrame:
        place = self.places.get(label, len(self.places))
        before = [name for name, i in self.places.items() if i < place]
        own = pl.col("stage").is_in(before)
        lines = self.scan().filter(own if reached is None else own & reached)
        found = lines.select("id", *columns).collect()
        return found.unique("id", keep="last", maintain_order=True)

    def fields(self, struct: str) -> dict[str, dict[str, pa.DataType]]:
        """Return the columns of a struct by label: `{"ifd": {"ppl": double}}`."""
        if struct not in self.schema.names:
            return {}
        labels = self.schema.field(struct).type
        return {
            labels.field(i).name: {
                labels.field(i).type.field(j).name: labels.field(i).type.field(j).type
                for j in range(labels.field(i).type.num_fields)
            }
            for i in range(labels.num_fields)
        }


def _check_readable(file: Path) -> None:
    try:
        lost = sorted(NEEDED - {*pq.read_schema(file).names})
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{file} cannot be read: edited by hand{AGAIN}") from error
    if lost:
        raise InputError(f"{file} has no column {', '.join(lost)}: edited by hand{AGAIN}")


def is_after(file: Path, n_versions: int) -> bool:
    """Whether a file of a dataset that grows is of a version after so many."""
    found = VERSION.search(file.name)
    return found is not None and int(found[1]) > n_versions


def _field(path: str) -> pl.Expr:
    head, *rest = path.split(".")
    column = pl.col(head)
    for part in rest:
        column = column.struct.field(part)
    return column
