"""Seeds from Python source: functions of the standard library, a package or your own files.

Source: Wei et al., "SelfCodeAlign", arXiv:2410.24198, section 3.1; what makes a function a seed
is in `text/python_source.py`.
Differs from the paper: duplicates are found by exact text only (near-duplicates are left to
`filters.near_duplicates` over `code`, as in recipe `self_code_align`); the same for benchmarks
(`filters.contamination`) and for the question whether a docstring is enough
(`filters.self_code_align_judge`).
"""

from __future__ import annotations

import inspect
import logging
import os
import platform
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from importlib.util import decode_source, find_spec
from pathlib import Path

import orjson

from gristmill.errors import InputError, StorageError
from gristmill.formats.files import contents
from gristmill.formats.parts import Part
from gristmill.storage.ids import digest
from gristmill.storage.rows import Row
from gristmill.storage.shards import write_text
from gristmill.text import python_source
from gristmill.text.python_source import Function, functions

log = logging.getLogger(__name__)

PACKAGE = "package:"
LEFT_OUT = frozenset(
    (
        "test",
        "tests",
        "idlelib",
        "lib2to3",
        "turtledemo",
        "pydoc_data",
        "encodings",
        "ensurepip",
        "distutils",
    )
) | frozenset(("site-packages", "dist-packages", "node_modules", "__pycache__", "venv"))
"""Folders whose functions are tests, tables, somebody else's, or gone in the next version."""


def functions_of(paths: Sequence[str]) -> tuple[list[Part], str, list[str]]:
    """Return the functions found, the digest of the files, and what was left out and why."""
    if list(paths) == ["stdlib"]:
        return _stdlib_functions()
    notes: list[str] = []
    sources = [
        (path == "stdlib", *file)
        for path in paths
        for file in (_stdlib() if path == "stdlib" else _files(path, notes))
    ]
    for _, name, _ in sources:
        if not name.endswith(".py"):
            raise InputError(f"python_functions reads .py files, found {name}; `use: files`?")
    parts, said = _parsed(sources)
    return parts, _digest(sources), [*notes, said]


def _stdlib_functions() -> tuple[list[Part], str, list[str]]:
    """Parse the standard library once per version of it and of the rules: that takes seconds."""
    sources = [(True, *file) for file in _stdlib()]
    hashed = _digest(sources)
    rules = [inspect.getsource(module) for module in (python_source, sys.modules[__name__])]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gristmill"
    kept = folder / f"python_functions-{digest(hashed, rules)}.json"
    try:
        found = orjson.loads(kept.read_bytes())
        parts = [Part(name, rows, lines) for name, rows, lines in found["parts"]]
        return parts, hashed, found["notes"]
    except (OSError, ValueError, TypeError, KeyError):
        parts, said = _parsed(sources)
    if any(part.malformed for part in parts):
        return parts, hashed, [said]
    plain = [(part.name, part.rows, part.lines) for part in parts]
    try:
        write_text(kept, orjson.dumps({"parts": plain, "notes": [said]}).decode())
    except (OSError, StorageError) as error:
        log.info("not remembered: %s", error)
    return parts, hashed, [said]


def _parsed(sources: Iterable[tuple[bool, str, bytes]]) -> tuple[list[Part], str]:
    """Return the functions of each file, and how many were left out by which rule."""
    parts: list[Part] = []
    seen: set[str] = set()
    ends: Counter[str] = Counter()
    for is_stdlib, name, data in sources:
        if LEFT_OUT & set(name.split("/")[:-1]):
            continue
        parts.append(part := Part(name))
        try:
            found = list(functions(decode_source(data)))
        except (SyntaxError, ValueError, LookupError, RecursionError, MemoryError) as error:
            part.wrong(getattr(error, "lineno", 0) or 0, f"not Python: {error}", "")
            continue
        for function in found:
            why = "duplicate" if function.code in seen else function.why
            ends[why or "kept"] += 1
            if why is None:
                seen.add(function.code)
                part.add(function.line, _row(name, function, is_stdlib=is_stdlib))
    left_out = ", ".join(f"{why} {n}" for why, n in sorted(ends.items()) if why != "kept")
    said = f"{ends['kept']} of {ends.total()} functions taken; left out: {left_out or 0}"
    return parts, said


def _files(path: str, notes: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a path, or of an installed package, `package:name`; nothing is imported.

    Raises InputError for a package that is not installed.
    """
    if not path.startswith(PACKAGE):
        yield from contents(path, [{".py"}], notes)
        return
    name = path.removeprefix(PACKAGE)
    spec = find_spec(name) if name.isidentifier() else None
    if spec is None or not (spec.submodule_search_locations or spec.has_location):
        raise InputError(
            f"seeds.path: no package '{name}' of Python files is installed here; install it, or "
            "name a folder"
        )
    for root in spec.submodule_search_locations or [str(spec.origin)]:
        for file, data in contents(root, [{".py"}], notes):
            yield f"{name}/{file}" if spec.submodule_search_locations else file, data


def _digest(sources: Iterable[tuple[bool, str, bytes]]) -> str:
    hashed = blake2b(digest_size=16)
    for _, name, data in sources:
        hashed.update(name.encode() + data)
    return hashed.hexdigest()


def _row(file: str, function: Function, is_stdlib: bool) -> Row:
    module = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    row = {"code": function.code, "name": function.name, "module": module, "lang": "python"}
    if is_stdlib:
        version = ".".join(platform.python_version_tuple()[:2])
        return {**row, "source": f"cpython-{version}/Lib/{file}", "license": "PSF-2.0"}
    return {**row, "source": file}


def _stdlib() -> Iterator[tuple[str, bytes]]:
    """Yield the modules of the running interpreter's standard library, folder by folder."""
    root = sysconfig.get_path("stdlib")
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(set(folders) - LEFT_OUT)
        for name in sorted(names):
            if name.endswith(".py"):
                path = Path(folder, name)
                yield path.relative_to(root).as_posix(), path.read_bytes()
