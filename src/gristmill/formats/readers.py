"""Read seeds: any file, folder, pattern or dataset a user has becomes rows of known types.

Nothing is dropped without a word: what is no row is `malformed`, with its file and line, and
every other thing done to the data (a column renamed, a text repaired) is in `notes`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from gristmill.errors import InputError
from gristmill.formats import columns as cols
from gristmill.formats.api_files import apis_of
from gristmill.formats.files import contents
from gristmill.formats.git_commits import edits_of
from gristmill.formats.hub import from_hub
from gristmill.formats.parts import (
    A_LINE_EACH,
    LANGS,
    READERS,
    REPAIRED,
    Malformed,
    Part,
    from_table,
    tried,
)
from gristmill.formats.python_functions import functions_of
from gristmill.formats.shapes import likely, present, reshape
from gristmill.storage.ids import digest, seed_ids
from gristmill.storage.rows import CONTENT, TEXT, Row
from gristmill.storage.shards import write_text
from gristmill.text.plurals import counted

MAX_COLUMNS = 1000
SHOULD_BE = ("instruction", "output")
TEXTS = ("messages", "instruction", "input", "output")
MOST_CARRIED = 12
"""Columns that the line about the shape names."""
TAKEN = {"python_functions": functions_of, "git_commits": edits_of, "openapi": apis_of}
TABLES = frozenset({*READERS, ".parquet"}) - {".txt"}


class SeedSpec(BaseModel):
    """Where the seeds come from: the recipe's `seeds`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    use: Literal["files", "python_functions", "git_commits", "openapi"] = "files"
    """What to take from the files: rows, documented functions, edits of commits, described APIs."""
    path: str | list[str] = ""
    """A file, folder, glob, URL, `hub:owner/name`, a list of them; `stdlib` for functions."""
    map: dict[str, str] = {}
    """Our name for a column -> the user's: `{output: answer}`."""
    limit: int | None = Field(default=None, ge=1)
    """Take only the first rows."""
    key: str | None = None
    """The list inside a JSON object, where there are several."""
    split: str = "train"
    """Of a dataset on the Hub, as are the next two."""
    subset: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class Seeds:
    """What was read. `ids` name the rows by content, whatever types the columns get."""

    rows: list[Row]
    columns: dict[str, pa.DataType]
    ids: list[str]
    malformed: list[Malformed]
    shape: str
    """The shapes recognised, see `shapes.py`; several are joined with a plus."""
    files: list[str]
    digest: str
    """Of the bytes read."""
    notes: list[str]
    origin: dict[str, str]
    """Our column -> the user's column that it is made of."""
    n_lines: int
    """Lines read, malformed or not, before any limit."""

    @property
    def carried(self) -> list[str]:
        """The columns that keep their own name and meaning."""
        given = {"input", "messages"} if "instruction" in self.columns else set()
        return [name for name in self.columns if name not in self.origin and name not in given]

    @property
    def recognised(self) -> str:
        """Which column was taken for what, on one line."""
        said = [name for name in TEXTS if name in self.origin or name in SHOULD_BE]
        texts = [f"{name}<-{self.origin.get(name, '(none)')}" for name in said]
        if not self.origin and "code" in self.columns:
            texts = [self.shape]
        few = ", ".join(self.carried[:MOST_CARRIED])
        more = f" +{n}" if (n := len(self.carried) - MOST_CARRIED) > 0 else ""
        return f"{', '.join(texts)}; carried: {few or 'nothing'}{more}"

    def summary(self) -> dict[str, Any]:
        """Return what a ledger, card or terminal says about the input."""
        return {
            "rows": len(self.rows),
            "malformed": len(self.malformed),
            "lines": self.n_lines,
            "shape": self.shape,
            "origin": self.origin,
            "carried": self.carried,
            "files": self.files,
            "digest": self.digest,
            "notes": self.notes,
        }


def read(spec: SeedSpec) -> Seeds:
    """Read what a recipe asks for; InputError says what is wrong with it."""
    paths = [spec.path] if isinstance(spec.path, str) else spec.path
    if taken := TAKEN.get(spec.use):
        return from_parts(*taken(paths), spec)
    parts: list[Part] = []
    hashed, notes = blake2b(digest_size=16), list[str]()
    for path in paths:
        if path.startswith("hub:"):
            parts.append(_hub(path.removeprefix("hub:"), spec))
            hashed.update(digest(parts[-1].name, parts[-1].rows).encode())
            continue
        found: list[Part] = []
        for name, data in contents(path, (TABLES, LANGS.keys(), {".txt"}), notes):
            hashed.update(digest(name).encode() + data)
            found.append(tried(name, data, spec.key))
        if unread := [m.reason for part in found for m in part.malformed if not m.line]:
            if not any(part.rows for part in found):
                raise InputError(unread[0])
            n = counted(len(found), "file")
            notes.append(f"{len(unread)} of {n} could not be read: {unread[0]}")
        parts += found
    return from_parts(parts, hashed.hexdigest(), notes, spec)


def from_rows(rows: Sequence[Row] | Seeds) -> Seeds:
    """Take rows that are in memory as if they had been read; what was read stays as it is."""
    if isinstance(rows, Seeds):
        return rows
    part = Part("rows")
    for number, row in enumerate(rows, 1):
        part.add(number, row)
    return from_parts([part], digest(part.rows), [], SeedSpec(path="rows"))


def require(seeds: Seeds, label: str, names: Iterable[str]) -> None:
    """Refuse seeds without a text that a stage judges: all of them would leave there."""
    for name in sorted(names):
        if not any(str(row.get(name) or "").strip() for row in seeds.rows):
            others = [column for column in seeds.carried if column != name]
            found = likely(name, (column for column in others if _says(seeds, column)))
            fix = f"if one of them is it, add --map {name}={found or 'YOURS'}"
            fix = fix if others else "add it to them"
            raise InputError(
                f"stage '{label}' judges the {name} of rows, but no seed has one and no stage "
                f"writes one; the columns are {seeds.recognised}; {fix}"
            )


def _says(seeds: Seeds, name: str) -> bool:
    """Say whether a column holds texts, or numbers, and not objects as JSON text."""
    kind = seeds.columns[name]
    if kind == TEXT:
        texts = [row[name] for row in seeds.rows if row.get(name)]
        return not all(text.startswith(("[", "{")) for text in texts)
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return bool(is_number or kind == pa.list_(TEXT))


def write_malformed(path: Path, malformed: Iterable[Malformed]) -> None:
    """Write the lines that are no rows, one JSON object each."""
    lines = [json.dumps(asdict(line), ensure_ascii=False) + "\n" for line in malformed]
    write_text(path, "".join(lines))


def read_malformed(path: Path) -> list[dict[str, Any]]:
    """Return what `write_malformed` wrote: a text may have any line break but its end's in it."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def from_parts(parts: list[Part], hashed: str, notes: list[str], spec: SeedSpec) -> Seeds:
    """Give the rows of all files their shape, names, types and ids."""
    shapes, origin, rows = _shaped(parts, spec)
    malformed = [m for part in parts for m in sorted(part.malformed, key=lambda m: m.line)]
    if not rows:
        lines = "; ".join(f"line {m.line}: {m.reason}" for m in malformed[:3])
        if lines and any(part.name.endswith((".jsonl", ".ndjson")) for part in parts):
            lines += f"; {A_LINE_EACH}"
        raise InputError(f"no seeds in {spec.path}: {lines or '; '.join(notes) or 'nothing in it'}")
    n_lines = len(rows) + len(malformed)
    notes += _left_out(parts)
    rows = _renamed(rows[: spec.limit], spec, notes)
    if repaired := sum(REPAIRED in (row.get("flags") or []) for row in rows):
        notes.append(f"{counted(repaired)} had broken Unicode, repaired and flagged '{REPAIRED}'")
    ids = seed_ids(rows)
    types = _types(rows, parts)
    files, shape = [part.name for part in parts], "+".join(sorted(shapes))
    there = set(present(rows))
    origin = {core: name for core, name in origin.items() if core in there}
    return Seeds(rows, types, ids, malformed, shape, files, hashed, notes, origin, n_lines)


def _shaped(parts: Iterable[Part], spec: SeedSpec) -> tuple[set[str], dict[str, str], list[Row]]:
    """Return the shapes, origins and rows of all files; what has no shape becomes malformed."""
    shapes, rows, origins = set[str](), list[Row](), dict[str, list[str]]()
    for part in parts:
        if not part.rows:
            continue
        shaped = reshape(part.name, part.rows, spec.map)
        shapes.add(shaped.shape)
        for core, name in shaped.origin.items():
            origins.setdefault(core, []).append(name)
        for row, line, raw in zip(shaped.rows, part.lines, part.rows, strict=True):
            if isinstance(row, str):
                part.wrong(line, row, json.dumps(raw, ensure_ascii=False, default=str))
            else:
                rows.append(row)
    return shapes, {core: "|".join(dict.fromkeys(n)) for core, n in origins.items()}, rows


def _left_out(parts: Iterable[Part]) -> Iterator[str]:
    """Yield what the objects around the rows hold that no row got; like files are told once."""
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for part in parts:
        if part.left_out:
            alike.setdefault((part.rows_key, part.left_out), []).append(part.name)
    for (key, names), files in alike.items():
        n = len(files) - 1
        more = f" (and {n} file{'s' * (n > 1)} more)" if n else ""
        yield f"left out beside '{key}' of {files[0]}{more}: {', '.join(names)}"


def _renamed(rows: list[Row], spec: SeedSpec, notes: list[str]) -> list[Row]:
    """Return the rows without nulls, and without columns that mean something else to us."""
    names = present(rows)
    if len(names) > MAX_COLUMNS:
        raise InputError(
            f"{spec.path} has {len(names)} columns, such as {names[:3]}, expected at most "
            f"{MAX_COLUMNS}; are its keys data? Make them values"
        )
    renamed = cols.free_names(names)
    renamed |= {
        name: f"{name}_original"
        for name in CONTENT
        if cols.misfits(name, (row.get(name) for row in rows))
    }
    notes += [f"column '{old}' is now '{new}'" for old, new in renamed.items()]
    return [{renamed.get(k, k): v for k, v in row.items() if v is not None} for row in rows]


def _types(rows: list[Row], parts: Sequence[Part]) -> dict[str, pa.DataType]:
    """Return the type of every column, and bring the values of `rows` to it."""
    names = present(rows)
    types: dict[str, pa.DataType] = {}
    for name in names:
        values = [row.get(name) for row in rows]
        declared = {part.types.get(name) for part in parts if part.rows}
        kind = CONTENT.get(name) or (declared.pop() if len(declared) == 1 else None)
        number = None
        if kind is None and all(part.is_untyped for part in parts if part.rows):
            number = cols.number_type(values)
        if number:
            values = [number(value) if value else None for value in values]
        kind = types[name] = kind or cols.type_of(values) or TEXT
        if kind == TEXT:
            values = [cols.as_text(value) for value in values]
        if kind == TEXT or number:
            for row, value in zip(rows, values, strict=True):
                if name in row:
                    row[name] = value
    if "instruction" in types:
        types |= {name: CONTENT[name] for name in ("input", "messages")}
    return types


def _hub(name: str, spec: SeedSpec) -> Part:
    found = from_hub(name, spec.subset, spec.limit, split=spec.split, revision=spec.revision)
    return from_table(f"hub:{name}@{spec.revision or 'main'}/{spec.split}", found)
