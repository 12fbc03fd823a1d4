"""A run as the review page asks for it: pages of rows, one row with all of it, marks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any, get_args

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from gristmill.errors import InputError
from gristmill.formats import marks
from gristmill.formats.marks import Mark, Says
from gristmill.publishing import croissant, facts
from gristmill.publishing.escape import cut, line, printable
from gristmill.storage.rows import END, STRUCTS, SYSTEM, Row
from gristmill.text.redaction import UNSHOWN

PAGE = 100
"""Rows of one page."""
BATCH = 10_000
"""Rows that are read at once when all are."""
START_CHARS, TEXT_CHARS, NOTE_CHARS = 160, 100_000, 2000
ENDS = ("kept", "rejected", "failed")


class Query(BaseModel):
    """Which rows to show; empty means all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    end: str = ""
    stage: str = ""
    """Where rows ended; for rows of the dataset that is the last stage."""
    code: str = ""
    mark: str = ""
    """keep, drop, `any` or `none`."""
    text: str = ""
    """Stands in one of the row's texts, its evidence or its id; capitals do not matter."""
    score: str = ""
    """Such as `ifd.value`: only rows that have it, the lowest first."""
    low: float | None = None
    high: float | None = None
    page: int = Field(default=0, ge=0)


class Review:
    """The rows of a finished run that ended, in the order of the run, with their marks."""

    def __init__(self, path: Path, grown: Iterable[Path] = ()) -> None:
        """Open a run; the datasets that it was added to get its marks as well."""
        self.run = croissant.opened(path)
        self.places = [path, *grown]
        self.marks = dict(marks.read(path).by_id)
        self._writing = Lock()
        self._numbers: dict[str, pl.DataFrame] = {}
        self._said: tuple[str, list[str], pl.DataFrame] = ("", [], pl.DataFrame())
        names = ["id", "root", "round", "end", "end_at", "end_code"]
        if not self.run.files:
            raise InputError(f"{path} has no rows to review")
        scan = pl.scan_parquet(self.run.files, include_file_paths="file")
        last = scan.select(*names, pl.col("file").cast(pl.Categorical)).collect()
        last = last.unique("id", keep="last", maintain_order=True)
        self.rows = last.filter(pl.col("end").is_in(ENDS)).sort("round", "root", "id")
        self.scores = facts.score_names(self.run)

    def about(self) -> dict[str, Any]:
        """Return what the page begins with: names and counts of what can be filtered by."""
        return {
            "run": self.run.path.name,
            "total": len(self.rows),
            "ends": self._counted("end"),
            "stages": self._counted("end_at"),
            "codes": self._counted("end_code"),
            "scores": self.scores,
        }

    def page(self, query: Query) -> dict[str, Any]:
        """Return one page of the rows that are meant, and how many there are."""
        found = self._found(query)
        part = found.slice(query.page * PAGE, PAGE)
        starts = {row["id"]: _start(row) for row in self._whole(part)}
        said = self.marks
        lines = [
            {
                "id": row["id"],
                "end": row["end"],
                "stage": row["end_at"],
                "code": row["end_code"],
                "score": row.get("value"),
                "mark": said[row["id"]].says if row["id"] in said else None,
                "start": starts[row["id"]],
            }
            for row in part.to_dicts()
        ]
        place = {"n": len(found), "page": query.page, "size": PAGE}
        return {"rows": lines, **place, "marks": self.tally()}

    def tally(self) -> dict[str, int]:
        """Count the marks by what they say."""
        said = [mark.says for mark in self.marks.values()]
        return {name: said.count(name) for name in get_args(Says)}

    def row(self, row_id: str) -> dict[str, Any]:
        """Return all that is known of a row, and its mark."""
        row = self._rows([row_id])[row_id]
        shown = facts.example(row)
        verdicts = (
            (f"{label}.{name}", value)
            for label, fields in sorted((row.get("verdicts") or {}).items())
            for name, value in (fields or {}).items()
            if value is not None
        )
        gen = row.get("gen") or {}
        about = {
            "made by": row["stage"],
            "model": gen.get("model"),
            "source": row.get("source"),
            "licence": row.get("license"),
            "overruled": ", ".join(f"{at}: {code}" for at, code in marks.overruled(row).items()),
        }
        mark = self.marks.get(row_id)
        return {
            "id": row_id,
            "end": row["end"],
            "stage": row["end_at"],
            "code": row["end_code"],
            "why": printable(shown.detail),
            "texts": [(line(n), cut(printable(text), TEXT_CHARS)) for n, text in shown.texts],
            "scores": shown.scores,
            "verdicts": [(name, line(str(value), 200)) for name, value in verdicts],
            "about": [(name, line(str(text), 200)) for name, text in about.items() if text],
            "mark": {"says": mark.says, "note": mark.note} if mark else None,
            "no_keep": self.no_keep(row),
        }

    def mark(self, said: Mapping[str, tuple[Says | None, str]]) -> None:
        """Give rows a word and a note each, or take their mark back; durable when it returns.

        Raises:
            InputError: A row is not there, or a mark could not do that; no row is marked then.
        """
        rows = self._rows(said)
        made = [self._mark(rows[i], says, note) for i, (says, note) in said.items() if says]
        gone = [row_id for row_id, (says, _) in said.items() if not says]
        with self._writing:
            for place in self.places:
                marks.add(place, made, gone)
            changed = {**self.marks, **{mark.id: mark for mark in made}}
            self.marks = {i: mark for i, mark in changed.items() if i not in gone}

    def _mark(self, row: Row, says: Says, note: str) -> Mark:
        at, seen, before = list[str](), list[str](), self.marks.get(row["id"])
        if says == "keep":
            if why := self.no_keep(row):
                raise InputError(f"row {row['id']} cannot be kept: {why}")
            here = [row["end_at"]] if self._is_filtered(row) else []
            at = [*dict.fromkeys([*marks.overruled(row), *here])]
            if before and marks.overruled(row):  # it may say more by now than it did there
                seen = [*dict.fromkeys([*before.seen, before.text])]
        said = cut(printable(note), NOTE_CHARS)
        return Mark(row["id"], says, marks.text_of(row), tuple(at), said, tuple(seen))

    def no_keep(self, row: Row) -> str | None:
        """Say why a mark could not bring a row into the dataset; None when it could."""
        if row["end_code"] in marks.FINAL:
            return f"'{row['end_code']}' protects others: no mark overrules it"
        if row["end"] == "kept" or row["end_code"] == marks.DROPPED or self._is_filtered(row):
            return None
        return f"it was {row['end']} by '{row['end_at']}', and a mark overrules filters only"

    def _is_filtered(self, row: Row) -> bool:
        *path, _ = self.run.uses.get(row["end_at"], "target").split(".")
        return row["end"] == "rejected" and "filters" in path

    def rows_of(self, ids: Iterable[str]) -> dict[str, Row]:
        """Read those of the rows that ended in this run, whole."""
        found = self._whole(self.rows.filter(pl.col("id").is_in(list(ids))))
        return {row["id"]: row for row in found}

    def batches(self) -> Iterator[list[Row]]:
        """Give all rows, whole, some at a time; without those that nobody should see."""
        shown = pl.col("end_code").is_in(UNSHOWN).fill_null(value=False).not_()
        for part in self.rows.filter(shown).iter_slices(BATCH):
            yield self._whole(part)

    def _rows(self, ids: Iterable[str]) -> dict[str, Row]:
        wanted = list(ids)
        found = self.rows_of(wanted)
        for row_id in wanted:
            if row_id not in found:
                raise InputError(f"{self.run.path.name}: no row {row_id[:80]!r} ended in this run")
        return found

    def _whole(self, rows: pl.DataFrame) -> list[Row]:
        """Read rows from the shards in which they ended; a page is in few of them."""
        there = set(rows["file"].cast(pl.String))
        names = [name for name in self.run.note["files"] if str(self.run.path / name) in there]
        part = replace(self.run, note={**self.run.note, "files": names})
        return part.last_of(rows["id"].to_list())

    def _found(self, query: Query) -> pl.DataFrame:
        rows = self.rows
        for column, wanted in (
            ("end", query.end), ("end_at", query.stage), ("end_code", query.code)
        ):  # fmt: skip
            if wanted:
                rows = rows.filter(pl.col(column) == wanted)
        if query.mark:
            known = self.marks.values()
            ids = [m.id for m in known if query.mark in ("any", "none", m.says)]
            is_marked = pl.col("id").is_in(ids)
            rows = rows.filter(~is_marked if query.mark == "none" else is_marked)
        if query.text:
            rows = self._saying(rows, query.text)
        if query.score:
            rows = self._between(rows, query)
        return rows

    def _between(self, rows: pl.DataFrame, query: Query) -> pl.DataFrame:
        if query.score not in self.scores:
            raise InputError(f"no score '{query.score[:80]}'; found {self.scores}")
        if query.score not in self._numbers:  # a column of every shard
            self._numbers[query.score] = self.run.numbers(f"scores.{query.score}")
        rows = rows.join(self._numbers[query.score], on="id").sort("value", "round", "root", "id")
        if query.low is not None:
            rows = rows.filter(pl.col("value") >= query.low)
        return rows if query.high is None else rows.filter(pl.col("value") <= query.high)

    def _saying(self, rows: pl.DataFrame, text: str) -> pl.DataFrame:
        """Return the rows that hold a text; those that nobody should see hold nothing."""
        if not len(rows):
            return rows
        files = sorted(rows["file"].unique().cast(pl.String))  # a row has its last line there
        if self._said[:2] != (text, files):  # the next page asks the same
            self._said = text, files, self._hits(text, files)
        return rows.join(self._said[2], ["id", "file"], "semi")

    def _hits(self, text: str, files: list[str]) -> pl.DataFrame:
        """Return id and file of the lines of some shards that hold a text."""
        scan = pl.scan_parquet(files, include_file_paths="file")
        own = {*SYSTEM, *STRUCTS, *END, "meta", "source", "license", "lang"} - {"end_detail"}
        kinds = scan.collect_schema()
        names = [n for n, kind in kinds.items() if kind == pl.String and n not in {*own, "file"}]
        turn = (pl.element().struct.field(part) for part in ("content", "extra"))
        whole = pl.concat_str(*turn, separator="\n", ignore_nulls=True)
        said = pl.col("messages").list.eval(whole).list.join("\n")
        wanted = text.lower()
        hits = [pl.col(name).str.to_lowercase().str.contains(wanted, literal=True)
                for name in names]  # fmt: skip
        hits += [said.str.to_lowercase().str.contains(wanted, literal=True),
                 pl.col("id").str.starts_with(wanted)]  # fmt: skip
        shown = pl.col("end_code").is_in(UNSHOWN).fill_null(value=False).not_()
        lines = scan.filter(shown & pl.any_horizontal(h.fill_null(value=False) for h in hits))
        return lines.select("id", pl.col("file").cast(pl.Categorical)).collect()

    def _counted(self, column: str) -> list[tuple[str, int]]:
        counts = self.rows[column].drop_nulls().value_counts(sort=True)
        return [(str(name), n) for name, n in counts.iter_rows()]


def _start(row: Row) -> str:
    [(_, text), *_] = facts.example(row).texts or [("", "")]
    return line(text, START_CHARS)
