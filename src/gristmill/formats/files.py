"""Files: from what a user names (a file, folder, pattern or URL) to names and bytes, in order."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from gristmill.errors import InputError
from gristmill.formats.parts import suffix_of
from gristmill.text.plurals import counted

SHIPPED = "shipped:"
"""Begins the path of what comes with the package: seeds beside the recipes that name them, worked
examples beside their generators."""
FOLDERS = [Path(__file__).parents[1] / name for name in ("recipes", "generators")]
Groups = Sequence[Collection[str]]
"""Endings of the files of a folder that belong together, the group looked for first in front."""


def contents(path: str, groups: Groups, notes: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of every file that a path means, in order of name."""
    if path.startswith(SHIPPED):
        paths = [folder / path.removeprefix(SHIPPED) for folder in FOLDERS]
        path = str(next((found for found in paths if found.exists()), paths[0]))
    try:
        system, inner = fsspec.core.url_to_fs(path)
        if system.isdir(inner):
            root, found = inner, _choose(inner, system.find(inner), groups, notes)
        elif system.exists(inner):
            root, found = _parent(inner), [inner]
        else:
            root, found = _parent(re.split(r"[*?[]", inner)[0] + "x"), sorted(system.glob(inner))
        if not found:
            raise InputError(f"seeds.path: {_missing(path, inner, groups, system)}")
        for file in found:
            with system.open(file, "rb", compression="infer") as handle:
                yield _relative(file, root), handle.read()
    except (OSError, ValueError, ImportError, EOFError) as error:
        raise InputError(f"seeds.path: {path} cannot be read: {error}") from error


def _parent(file: str) -> str:
    return str(PurePosixPath(file).parent)


def _relative(file: str, root: str) -> str:
    """Return the name of a file inside its folder: where the folder stands names no seed."""
    path = PurePosixPath(file)
    return str(path.relative_to(root)) if path.is_relative_to(root) else path.name


def _choose(folder: str, found: Iterable[str], groups: Groups, notes: list[str]) -> list[str]:
    """Return the files of a folder that hold its rows: of the group with the most files."""
    shown = [
        f for f in found if not any(p.startswith(".") for p in _relative(f, folder).split("/"))
    ]
    chosen = max(([f for f in shown if suffix_of(f) in group] for group in groups), key=len)
    if chosen and len(chosen) < len(shown):
        notes.append(f"{counted(len(shown) - len(chosen), 'other file')} in {folder} left out")
    return sorted(chosen)


def _missing(path: str, inner: str, groups: Groups, system: Any) -> str:
    """Say what is there instead."""
    if system.isdir(inner):
        return f"no file in {path} ends in one of {sorted(set().union(*groups))}"
    parent, name = PurePosixPath(inner).parent, PurePosixPath(inner).name
    if not system.isdir(str(parent)):
        return f"no file or folder {path}; there is no folder {parent}"
    readable = set().union(*groups)
    beside = [PurePosixPath(f).name for f in system.ls(str(parent), detail=False)]
    data = [b for b in beside if suffix_of(b) in readable or system.isdir(str(parent / b))]
    near = get_close_matches(name, data, 1, 0.4)
    where = "" if "://" in path or path == inner else f" (looked for {inner})"
    return f"no file or folder {path}{where}" + (
        f"; did you mean '{path.removesuffix(name)}{near[0]}'?" if near else ""
    )
