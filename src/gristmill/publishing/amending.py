"""Marks obeyed by a dataset that grows: rows leave it or come back, and its ledger with them.

No file of an older version is changed: what a version says otherwise stands in files of its own,
and its ledger no longer names those that it replaces.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.errors import InputError
from gristmill.formats import marks
from gristmill.formats.exports import NOTES, Export, write_dataset
from gristmill.publishing import environment
from gristmill.publishing.changelog import versions
from gristmill.publishing.files import RunFiles
from gristmill.publishing.growth import TRIED, counter, paid
from gristmill.publishing.sides import sided
from gristmill.storage.ids import digest
from gristmill.storage.ledger import Counts, add, lines
from gristmill.storage.shards import write_parquet, write_text

PASSED = ("in", "entered_ok", "made", "kept")
SPLITS = ("train", "validation")
LAST = ("target", "select-")
"""Units in which a row of the dataset stands last."""
SCRATCH = ".amending"


@dataclass(frozen=True)
class Wanted:
    """What marks ask of a dataset that its ledger does not say yet."""

    out: Mapping[str, str]
    """Rows of the dataset that leave, and the note on each."""
    back: Mapping[str, str]
    """Rows that left and may come back, and the seed of each."""


def wanted(run: RunFiles) -> Wanted:
    """Read the marks of a grown dataset; they speak of rows as those read, as in any run."""
    said, tried = marks.read(run.path), set(run.note.get(TRIED, ()))
    dropped = run.rows.filter(pl.col("end_code") == marks.DROPPED)["id"]
    rows, inside = run.last_of(dict.fromkeys([*said.by_id, *dropped])), set(run.kept)
    out = {row["id"]: note for row in rows if row["id"] in inside
           and (note := said.note_against(row)) is not None}  # fmt: skip
    back = {}
    for row in rows:
        if row["end_code"] == marks.DROPPED:
            is_back = said.note_against(row) is None
        else:
            at = row["end_at"], row["end_code"]
            is_back = row["end"] == "rejected" and said.bring_back(row, *at) is not None
        if is_back and _asking(said, row["id"]) not in tried:
            back[row["id"]] = row["root"]
    return Wanted(out, back)


def _asking(said: marks.Marks, row_id: str) -> str:
    """Name what is asked for a row; another mark, or none, asks for something else."""
    mark = said.by_id.get(row_id)
    return digest(row_id, [mark.says, mark.text, *mark.at, *mark.seen] if mark else [])


def _in_vain(folder: Path, back: Collection[str], again: RunFiles) -> list[str]:
    """Name what was asked for rows that, or whose children, all end rejected: they always would."""
    said, of = marks.read(folder), dict(again.rows.select("id", "parents").iter_rows())
    hopeful = set(again.rows.filter(~pl.col("end").is_in(["rejected", "expanded"]))["id"])
    while more := {parent for i in hopeful for parent in of.get(i) or ()} - hopeful:
        hopeful |= more
    return [_asking(said, i) for i in back if i in of and i not in hopeful]


def amend(folder: Path, asked: Wanted, again: RunFiles | None) -> dict[str, Any] | None:
    """Make the version in which marks are obeyed, and return it; None where no row changes.

    Args:
        folder: The grown dataset. The caller holds its lock.
        asked: What marks ask of it.
        again: A run of the seeds of the rows that may come back, under the same marks.

    Raises:
        InputError: No row would be left.
    """
    made = _Amended(RunFiles.open(folder), asked, again)
    if not asked.out and not made.came:
        if again:  # nothing came back, but it may have been paid for
            note = made.before.note
            ledger = {**note, **paid(note, again.note), TRIED: made.tried}
            write_text(folder / "ledger.json", json.dumps(ledger, indent=1))
        return None
    if not made.n_rows:
        raise InputError(
            f"{folder}: marks drop every row; keep one, or remove the folder and build it anew"
        )
    scratch = folder / SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        return made.write(scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Amended:
    """A version on its way that differs from the one before by what people marked."""

    def __init__(self, before: RunFiles, asked: Wanted, again: RunFiles | None) -> None:
        self.before, self.out, self.again = before, asked.out, again
        self.name = f"v{len(versions(before)) + 1:04d}"
        self.taken = _family(before, asked.back, again) if again else set[str]()
        self.came = self.taken & set(again.kept) if again else set[str]()
        self.taken = self.taken if self.came else set()
        self.counts: Counts = {line["stage"]: counter(line) for line in before.stages}
        self.n_rows = len(before.kept) - len(self.out) + len(self.came)
        self.gone = set[str]()
        old = [] if self.out else before.note.get(TRIED, [])  # what left may have been in the way
        self.tried = sorted({*old, *(_in_vain(before.path, asked.back, again) if again else ())})

    def write(self, scratch: Path) -> dict[str, Any]:
        """Put all files in place, the ledger last: it makes them a version."""
        note, folder = self.before.note, self.before.path
        files = [*self._shards(), *self._new_shards()]
        dataset, left_out = self._data(scratch)
        old = {name: told for name, told in self.before.left_out.items() if not self._is_gone(name)}
        if notes := old | left_out:
            write_text(folder / "dataset" / NOTES, json.dumps(notes, indent=2))
        else:
            (folder / "dataset" / NOTES).unlink(missing_ok=True)
        spent = paid(note, self.again.note) if self.again else {}
        told = {
            "version": len(versions(self.before)) + 1,
            "run": "",
            "fingerprint": f"{note['fingerprint']}-{self.name}",
            "seeds": 0,
            "digest": "",
            "rows": self.n_rows,
            "lost": {marks.DROPPED: len(self.out)} if self.out else {},
            "diff": {"added": len(self.came), "changed": 0, "removed": len(self.out)},
            "marked": True,
        }
        if self.again and self.came:
            environment.take(folder, self.again.path)
        stages = lines([line["stage"] for line in self.before.stages], self.counts)
        note = {**note, **spent, "stages": stages, "files": files, "dataset": dataset}
        note |= {TRIED: self.tried, "versions": [*versions(self.before), told]}
        write_text(folder / "ledger.json", json.dumps(note, indent=1))
        return told

    def _shards(self) -> Iterator[str]:
        """Yield the shards there were; those with lines that are not true any more, anew."""
        for i, (name, file) in enumerate(
            zip(self.before.note["files"], self.before.files, strict=True)
        ):
            unit = file.parent.name
            stale = {*self.taken, *(self.out if unit.startswith(LAST) else ())}
            if not _holds(file, stale):
                yield name
                continue
            table = pq.read_table(file).replace_schema_metadata()
            old = _only(table, stale).to_pylist()
            new = [line for row in old for line in self._ended(unit, row)]
            self._count(unit, old, -1)
            self._count(unit, new, 1)
            parts = [_without(table, stale), pa.Table.from_pylist(new, table.schema)]
            if any(map(len, parts)):
                yield self._write(unit, f"{i:05d}", pa.concat_tables(parts))

    def _ended(self, unit: str, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield what a line says now: a row that is dropped ends at the target."""
        if row["id"] in self.out and unit == "target":
            note = self.out[row["id"]]
            yield row | {"end": "rejected", "end_code": marks.DROPPED, "end_detail": note}

    def _new_shards(self) -> Iterator[str]:
        """Yield shards with what became of the rows that came back, and of their children."""
        for i, file in enumerate(self.again.files if self.again and self.taken else ()):
            unit, table = file.parent.name, pq.read_table(file).replace_schema_metadata()
            if len(some := _only(table, self.taken)):
                self._count(unit, some.to_pylist(), 1)
                yield self._write(unit, f"back-{i:05d}", some)

    def _write(self, unit: str, name: str, table: pa.Table) -> str:
        place = f"shards/{unit}/{self.name}-{name}.parquet"
        write_parquet(self.before.path / place, table)
        return place

    def _count(self, unit: str, rows: Iterable[Mapping[str, Any]], sign: int) -> None:
        """Follow lines from where their rows came in to where they ended; as `tools/audit.py`."""
        units = {at["folder"]: at["labels"] for at in self.before.note["units"]}
        places = self.before.places
        for row in rows:
            for label, names in _way(row, places[units[unit][0]], places):
                add(self.counts, {label: Counter(dict.fromkeys(names, sign))})

    def _data(self, scratch: Path) -> tuple[dict[str, int], dict[str, Any]]:
        """Write the rows of every file that is not as it was into one per split.

        Return the files of the dataset with their rows, and what the new exports leave out.
        """
        dataset, left_out = dict(self.before.note["dataset"]), dict[str, Any]()
        files = self.again.data if self.again and self.came else ()
        back = sided(self.before, [_only(pq.read_table(file), self.came) for file in files])
        for split in SPLITS:
            old = [f for f in self.before.data if f.name.startswith(split) and _holds(f, self.out)]
            parts = [*(_without(pq.read_table(file), self.out) for file in old)]
            parts += [back[split]] if split in back else []
            self.gone |= {file.stem for file in old}
            dataset = {name: n for name, n in dataset.items() if not self._is_gone(name)}
            if not any(map(len, parts)):
                continue
            new, notes = self._exported(pa.concat_tables(parts, promote_options="default"),
                                        split, scratch / split)  # fmt: skip
            dataset |= new
            left_out |= notes
        return dataset, left_out

    def _is_gone(self, name: str) -> bool:
        """Say whether a file of the dataset is replaced: `train-v0002` of any folder."""
        return Path(name).stem in self.gone

    def _exported(
        self, table: pa.Table, split: str, scratch: Path
    ) -> tuple[dict[str, int], dict[str, Any]]:
        """Write rows of one split with all exports; no row changes its side."""
        export = {**(self.before.recipe.get("export") or {}), "validation_rate": 0.0}
        files = write_dataset(table, scratch, Export(**export))

        def place(name: str) -> str:
            return Path(name).with_name(f"{split}-{self.name}{Path(name).suffix}").as_posix()

        for name in files:
            new = self.before.path / "dataset" / place(name)
            new.parent.mkdir(parents=True, exist_ok=True)
            (scratch / name).replace(new)
        noted = scratch / NOTES
        told = json.loads(noted.read_text(encoding="utf-8")) if noted.exists() else {}
        return (
            {place(name): n for name, n in files.items()},
            {place(name): note for name, note in told.items()},
        )


def _family(before: RunFiles, back: Collection[str], again: RunFiles) -> set[str]:
    """Return the rows that may come back, and all that came of them when they ran again.

    Their seeds gave other rows, too, which stand in the dataset's shards as they are.
    """
    parents = dict(again.rows.select("id", "parents").iter_rows())
    found, known = {i for i in back if i in parents}, set(before.rows["id"])
    while more := {
        i for i, of in parents.items() if i not in found and i not in known and found & {*of}
    }:
        found |= more
    return found


def _way(
    row: Mapping[str, Any], first: int, places: Mapping[str, int]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield label and counts of every stage of a unit that a line tells of."""
    born, at, end = places[row["stage"]], places[row["end_at"]], row["end"]
    code = (f"code:{row['end_code']}",) if end == "rejected" else ()
    if born >= first:
        if born == at and end == "rejected":
            yield row["stage"], ("made", "rejected_children", *code)
            return
        yield row["stage"], ("made", "kept")
    yield from ((label, PASSED) for label, i in places.items() if max(first, born + 1) <= i < at)
    if end == "kept":
        if at > born:
            yield row["end_at"], PASSED
    else:
        yield row["end_at"], ("in", "entered_ok") if end == "expanded" else ("in", end, *code)


def _only(table: pa.Table, ids: Collection[str]) -> pa.Table:
    return table.filter(_among(table, ids))


def _without(table: pa.Table, ids: Collection[str]) -> pa.Table:
    return table.filter(pc.invert(_among(table, ids)))


def _holds(file: Path, ids: Collection[str]) -> bool:
    return bool(ids) and bool(pc.any(_among(pq.read_table(file, columns=["id"]), ids)).as_py())


def _among(table: pa.Table, ids: Collection[str]) -> Any:
    return pc.is_in(table["id"], pa.array([*ids], pa.string()))
