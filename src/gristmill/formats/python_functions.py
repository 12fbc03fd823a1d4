"""Seeds from Python source: documented functions of the standard library or of your own files.

Source: Wei et al., "SelfCodeAlign", arXiv:2410.24198, section 3.1; what makes a function a seed
is in `text/python_source.py`.
Differs from the paper: duplicates are found by exact text only (near-duplicates and
contamination are stages of their own); no model judges whether the docstring is enough.
"""

from __future__ import annotations

import os
import platform
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from importlib.util import decode_source
from pathlib import Path

from gristmill.errors import InputError
from gristmill.formats.files import contents
from gristmill.formats.parts import Part
from gristmill.storage.rows import Row
from gristmill.text.python_source import Function, functions

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


def functions_of(paths: Iterable[str]) -> tuple[list[Part], str, list[str]]:
    """Return the functions found, the digest of the files, and what was left out and why."""
    parts: list[Part] = []
    hashed, seen, notes = blake2b(digest_size=16), set[str](), list[str]()
    ends: Counter[str] = Counter()
    for path in paths:
        for name, data in _stdlib() if path == "stdlib" else contents(path, [{".py"}], notes):
            if not name.endswith(".py"):
                raise InputError(f"python_functions reads .py files, found {name}; `use: files`?")
            if LEFT_OUT & set(name.split("/")[:-1]):
                continue
            hashed.update(name.encode() + data)
            parts.append(part := Part(name))
            try:
                found = list(functions(decode_source(data)))
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                part.wrong(getattr(error, "lineno", 0) or 0, f"not Python: {error}", "")
                continue
            for function in found:
                why = "duplicate" if function.code in seen else function.why
                ends[why or "kept"] += 1
                if why is None:
                    seen.add(function.code)
                    part.add(function.line, _row(name, function, path == "stdlib"))
    left_out = ", ".join(f"{why} {n}" for why, n in sorted(ends.items()) if why != "kept")
    notes.append(f"{ends['kept']} of {ends.total()} functions taken; left out: {left_out or 0}")
    return parts, hashed.hexdigest(), notes


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
