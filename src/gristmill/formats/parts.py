"""Formats: from the bytes of one file to its rows, and every line that is not one.

Lines end at line feeds only: U+2028 and its like are text. A line is a place that a person can
look up: the line of a JSONL or CSV file, the place in a JSON list, the row of a table.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import decode_source
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.errors import InputError
from gristmill.formats.columns import is_broken, plain
from gristmill.storage.rows import Row
from gristmill.text.chat import is_turns

LANGS = {
    **{".py": "python", ".js": "javascript", ".ts": "typescript", ".java": "java", ".c": "c"},
    **{".h": "c", ".cc": "cpp", ".cpp": "cpp", ".hpp": "cpp", ".cs": "csharp", ".go": "go"},
    **{".rs": "rust", ".rb": "ruby", ".php": "php", ".sh": "shell", ".sql": "sql", ".r": "r"},
    **{".kt": "kotlin", ".swift": "swift", ".scala": "scala", ".jl": "julia", ".lua": "lua"},
}
REPAIRED = "repaired_unicode"
"""Flag of a row in which a lone surrogate became U+FFFD."""
NOT_UTF8 = "not UTF-8; convert it, for example with `iconv -f latin1 -t utf-8`"
A_LINE_EACH = (
    "JSONL has a whole object on each line: a list belongs in a .json file, and `jq -c .` writes "
    "objects on a line each"
)
MAX_CHARS = 500
"""Characters of a malformed line that are kept to look at."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """A piece of a file that is no row."""

    file: str
    line: int
    """0 where it is the whole file."""
    reason: str
    text: str


@dataclass
class Part:
    """What one file holds."""

    name: str
    rows: list[Row] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    malformed: list[Malformed] = field(default_factory=list)
    types: Mapping[str, pa.DataType] = field(default_factory=dict)
    """Arrow types, where the file declares them."""
    is_untyped: bool = False
    """Whether numbers are only texts here, as in CSV."""
    rows_key: str = ""
    """Where a JSON object holds the rows: its key, and those of what no row got."""
    left_out: tuple[str, ...] = ()

    def add(self, line: int, value: Any, raw: str | None = None) -> None:
        """Add a row, or what should have been one."""
        try:
            new = plain(value)
        except ValueError as error:
            return self.wrong(line, str(error), str(value))
        if isinstance(value, dict) and value:
            if new != value and is_broken(value) and isinstance(new.get("flags", []), list):
                new["flags"] = [*new.get("flags", []), REPAIRED]
            self.rows.append(new)
            self.lines.append(line)
        else:
            kind = "an empty object" if value == {} else f"a {type(value).__name__}"
            self.wrong(line, f"{kind}, expected an object", raw or str(value))

        return None

    def wrong(self, line: int, reason: str, raw: str) -> None:
        """Keep a line aside."""
        self.malformed.append(Malformed(self.name, line, reason, raw[:MAX_CHARS]))


def tried(name: str, data: bytes, key: str | None) -> Part:
    """Read one file as `parse`; one that cannot be read is malformed as a whole."""
    try:
        return parse(name, data, key)
    except InputError as error:
        part = Part(name)
        part.wrong(0, str(error), "")
        return part


def parse(name: str, data: bytes, key: str | None = None) -> Part:
    """Read one file by the ending of its name; `key` names the list inside a JSON object."""
    suffix = suffix_of(name)
    part = Part(name)
    if suffix == ".parquet":
        try:
            return from_table(name, pq.read_table(pa.BufferReader(data)))
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{name} is not readable Parquet: {error}") from error
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = data.decode("utf-16", "replace").encode()
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in data[:8192]:
        raise InputError(f"{name} is binary, expected text in UTF-8; is its ending right?")
    if suffix in LANGS:
        code = _decoded(name, data).replace("\r\n", "\n")
        path = PurePosixPath(name)
        part.add(1, {"code": code, "name": path.stem, "lang": LANGS[suffix], "source": name})
    elif suffix in READERS:
        READERS[suffix](part, data, key)
    else:
        known = sorted({*READERS, ".parquet", *LANGS})
        raise InputError(f"{name}: no reader for '{suffix}'; expected one of {known}")
    return part


def suffix_of(name: str) -> str:
    """Return the ending that names the format, without that of a compression."""
    path = PurePosixPath(name.lower())
    return PurePosixPath(path.stem if path.suffix in PACKED else path.name).suffix


def from_table(name: str, table: pa.Table) -> Part:
    """Return the rows of an Arrow table; nested types are left to the full scan."""
    names = table.column_names
    if twice := sorted({column for column in names if names.count(column) > 1}):
        raise InputError(f"{name}: columns {twice} are there twice; rename one of each")
    types = {}
    for i, column in enumerate(table.schema):
        kind = column.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if pa.types.is_timestamp(kind):
            kind = pa.timestamp("us", kind.tz)
        if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            kind = pa.string()
        if kind != column.type:
            table = table.set_column(i, column.name, table.column(i).cast(kind, safe=False))
        is_list = pa.types.is_list(kind) and pa.types.is_primitive(kind.value_type)
        if pa.types.is_primitive(kind) or is_list:
            types[column.name] = kind
    part = Part(name, types=types)
    for number, row in enumerate(table.to_pylist(), 1):
        part.add(number, row)
    return part


def _jsonl(part: Part, data: bytes, key: str | None) -> None:
    for number, line in enumerate(data.split(b"\n"), 1):
        if text := line.strip():
            try:
                part.add(number, loads(text.decode()), text.decode())
            except (ValueError, RecursionError) as error:
                part.wrong(number, _reason(error), text.decode("utf-8", "replace"))


def _json(part: Part, data: bytes, key: str | None) -> None:
    try:
        value = loads(_decoded(part.name, data))
    except (ValueError, RecursionError) as error:
        first = data.lstrip().split(b"\n", 1)[0]
        try:
            loads(first.decode())
        except ValueError:
            raise InputError(f"{part.name} is not JSON: {_reason(error)}") from error
        return _jsonl(part, data, key)
    if isinstance(value, dict) and key is None and any(map(is_turns, value.values())):
        value = [value]
    beside: Row = {}
    if isinstance(value, dict):
        part.rows_key = key = _key_of_rows(part.name, value, key)
        beside = {k: v for k, v in value.items() if k != key and _is_single(v)}
        part.left_out = tuple(k for k, v in value.items() if v and k not in {key, *beside})
        value = value[key]
    if not isinstance(value, list):
        raise InputError(f"{part.name} holds a {type(value).__name__}, expected a list of objects")
    for place, item in enumerate(value, 1):
        row = {"text": item} if isinstance(item, str) else item
        if row and isinstance(row, dict):
            row |= {k: v for k, v in beside.items() if k not in row}
        part.add(place, row)
    return None


def _key_of_rows(name: str, value: dict[str, Any], key: str | None) -> str:
    """Return the key of the one list of objects in an object, or the one asked for."""
    lists = [k for k, v in value.items() if isinstance(v, list) and v and isinstance(v[0], dict)]
    if key is not None and key in value:
        return key
    usual = [k for k in lists if k.lower() in ("data", "rows", "examples", "instances", "train")]
    if key is None and len(usual or lists) == 1:
        return (usual or lists)[0]
    found = f"lists of objects are {lists}" if lists else f"no list of objects in {list(value)[:9]}"
    raise InputError(f"{name} is one object: {found}; name the list with `seeds.key`")


def _is_single(value: Any) -> bool:
    """Say whether a value beside the rows is said of each of them: one text, number or truth."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return isinstance(value, str | int | float)


def _csv(part: Part, data: bytes, key: str | None) -> None:
    part.is_untyped = True
    text = data.decode("utf-8", "surrogateescape")
    head = text.partition("\n")[0]
    csv.field_size_limit(sys.maxsize)
    lines = csv.reader(
        io.StringIO(text, newline=""), delimiter=max(",;\t|", key=head.count), strict=True
    )
    names = next(_records(part, lines), (0, []))[1]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{part.name}: columns {twice} are there twice; rename one of each")
    for number, cells in _records(part, lines):
        raw = ",".join(cells)
        if len(cells) != len(names):
            part.wrong(number, f"{len(cells)} cells, expected {len(names)}", raw)
        elif any("\udc80" <= letter <= "\udcff" for letter in raw):
            part.wrong(number, NOT_UTF8, raw.encode("utf-8", "replace").decode())
        else:
            part.add(number, dict(zip(names, cells, strict=True)))


def _records(part: Part, lines: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the line it starts at."""
    while True:
        start = lines.line_num + 1
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            if "end of data" in str(error):
                raise InputError(
                    f"{part.name}: the quote opened in the row at line {start} is never closed"
                ) from error
            part.wrong(start, str(error), "")
            continue
        if any(cells):
            yield start, cells


def _txt(part: Part, data: bytes, key: str | None) -> None:
    for number, line in enumerate(_decoded(part.name, data).split("\n"), 1):
        if text := line.strip():
            part.add(number, {"text": text})


def _decoded(name: str, data: bytes) -> str:
    """Return a text in UTF-8, or Python in the encoding that its first lines name."""
    try:
        return decode_source(data) if suffix_of(name) == ".py" else data.decode()
    except (UnicodeDecodeError, SyntaxError, LookupError) as error:
        line = data[: getattr(error, "start", 0)].count(b"\n") + 1
        raise InputError(f"{name}, line {line}: {NOT_UTF8}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return found


loads = json.JSONDecoder(parse_constant=lambda _: None, object_pairs_hook=_unique).decode
"""JSON as users write it: NaN and Infinity are null, a key that comes twice is an error."""


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return NOT_UTF8
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, line {error.lineno} column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
READERS: dict[str, Callable[[Part, bytes, str | None], None]] = {
    **dict.fromkeys((".jsonl", ".ndjson"), _jsonl),
    **dict.fromkeys((".csv", ".tsv"), _csv),
    ".json": _json,
    ".txt": _txt,
}
