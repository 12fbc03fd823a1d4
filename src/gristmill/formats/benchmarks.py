"""Benchmarks: test sets that no row may repeat, registered by name and pinned by their bytes.

A registry is a JSON file of a user's own: names, paths and digests, no rows. A set of the Hub is
copied beside it, because nothing else there can be pinned.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from gristmill.errors import InputError
from gristmill.formats.files import contents
from gristmill.formats.hub import from_hub
from gristmill.formats.parts import READERS, parse
from gristmill.storage.rows import Row
from gristmill.storage.shards import write_text
from gristmill.text.overlaps import Protected

IDS = ("task_id", "unique_id", "key", "ID", "id")
QUESTIONS = (
    ("Body", "Question"),  # SVAMP
    ("prompt",),  # HumanEval, IFEval
    ("question",),  # GSM8K
    ("problem",),  # MATH
    ("text",),  # MBPP
    ("instruction", "input"),
)
PROGRAMS = ("canonical_solution", "code")
ANSWERS = ("solution", "answer", "output", "response")


@dataclass(frozen=True)
class Pin:
    """One registered set."""

    path: str
    """Where its file is, from the registry's folder on where it lies in that."""
    sha256: str
    """Of its bytes."""
    rows: int
    source: str
    """What it was added from."""
    map: dict[str, str] = field(default_factory=dict)
    """`id`, `question` and `solution` -> its columns, where they have other names than usual."""


def load(registry: Path) -> dict[str, Pin]:
    """Return the registered sets by name; none where there is no registry."""
    if not registry.exists():
        return {}
    try:
        told = json.loads(registry.read_text(encoding="utf-8"))
        return {name: Pin(**pin) for name, pin in told.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{registry} is no registry of benchmarks: {error}") from error


def add(
    registry: Path,
    name: str,
    source: str,
    columns: Mapping[str, str],
    split: str = "test",
    subset: str | None = None,
) -> Pin:
    """Register a file, URL or `hub:owner/name` under a name, pinned as it is now."""
    if not re.fullmatch(r"[\w.-]+", name):
        raise InputError(f"'{name}': a benchmark's name has letters, digits, dots, _ and - only")
    if unknown := sorted(columns.keys() - {"id", "question", "solution"}):
        raise InputError(f"--map {unknown[0]}: expected id, question or solution")
    if source.startswith("hub:"):
        path = registry.parent / "benchmarks" / f"{name}.jsonl"
        found = from_hub(source.removeprefix("hub:"), subset, split=split).to_pylist()
        lines = (json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in found)
        write_text(path, "".join(lines))
        source = f"{source}@{f'{subset}/' if subset else ''}{split}"
    else:
        path = Path(source)
    where = path.absolute()
    if where.is_relative_to(folder := registry.parent.absolute()):
        where = where.relative_to(folder)
    data = _bytes(name, path)
    rows = list(_rows(name, path, data, columns))
    pin = Pin(str(where), hashlib.sha256(data).hexdigest(), len(rows), source, dict(columns))
    told = {key: asdict(known) for key, known in {**load(registry), name: pin}.items()}
    write_text(registry, json.dumps(told, indent=2, sort_keys=True) + "\n")
    return pin


def pinned(registry: Path, name: str) -> Pin:
    """Return a set's pin.

    Raises:
        InputError: It is not registered.
    """
    known = load(registry)
    if name not in known:
        near = get_close_matches(name, known) or sorted(known)
        raise InputError(
            f"no benchmark '{name}' in {registry}, which has {near}; add it: "
            f"build-dataset benchmarks add {name} PATH"
        )
    return known[name]


def verified(registry: Path, name: str) -> tuple[Pin, bytes]:
    """Return a set's pin and the content of its file.

    Raises:
        InputError: It is not registered, its file is missing, or changed since it was pinned.
    """
    pin = pinned(registry, name)
    path = registry.parent / pin.path
    data = _bytes(name, path)
    if (found := hashlib.sha256(data).hexdigest()) != pin.sha256:
        raise InputError(
            f"benchmark '{name}': {path} has changed since it was pinned (sha256 {found[:12]}, "
            f"expected {pin.sha256[:12]}); bring the old file back, or pin the new one: "
            f"build-dataset benchmarks add {name} PATH"
        )
    return pin, data


def rows_of(registry: Path, name: str) -> list[Protected]:
    """Return the rows of a registered set; errors as `verified`."""
    pin, data = verified(registry, name)
    return list(_rows(name, Path(pin.path), data, pin.map))


def _bytes(name: str, path: Path) -> bytes:
    """Return what a file holds, unpacked."""
    if not path.is_file():
        raise InputError(
            f"benchmark '{name}': there is no file {path}; bring it back, or add it from where "
            f"it is now: build-dataset benchmarks add {name} PATH"
        )
    return next(data for _, data in contents(str(path), (READERS,), []))


def _rows(name: str, path: Path, data: bytes, columns: Mapping[str, str]) -> Iterator[Protected]:
    part = parse(path.name, data)
    if part.malformed:
        bad = part.malformed[0]
        raise InputError(f"benchmark '{name}': {path}, line {bad.line} is no row: {bad.reason}")
    if not part.rows:
        raise InputError(f"benchmark '{name}': {path} has no rows")
    for line, row in zip(part.lines, part.rows, strict=True):
        question = _question(row, columns)
        if not question:
            raise InputError(
                f"benchmark '{name}': {path}, line {line} has no question among "
                f"{sorted(row)}; name its column: --map question=YOURS"
            )
        given = columns.get("solution")
        program = next((row[key] for key in PROGRAMS if _is_text(row.get(key))), None)
        key = next((key for key in (columns.get("id"), *IDS) if key and key in row), None)
        yield Protected(
            name,
            str(row[key]) if key else f"line {line}",
            question,
            str(row.get(given) or "") if given else program or _first(row, ANSWERS),
            program is not None and given in (None, *PROGRAMS),
        )


def _question(row: Row, columns: Mapping[str, str]) -> str:
    given = columns.get("question")
    kinds = ((given,),) if given else QUESTIONS
    names = next((names for names in kinds if _is_text(row.get(names[0]))), ())
    return " ".join(row[name] for name in names if _is_text(row.get(name)))


def _first(row: Row, names: Iterable[str]) -> str:
    return next((row[name] for name in names if _is_text(row.get(name))), "")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
