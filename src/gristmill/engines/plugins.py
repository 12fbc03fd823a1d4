"""What is outside the package. A recipe is data: naming a module is no right to import it."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Collection
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from gristmill.engines.base import Engine
from gristmill.errors import RecipeError

GROUP = "gristmill.stages"
"""Whoever installs a package trusts it: its entry points `filters.mine` may be named."""


def find(
    where: str, use: str, folders: Collection[str], *, allowed: bool
) -> tuple[str, ModuleType] | None:
    """Return the folder and the module of a stage that a package or, if allowed, a file brings."""
    first, *_ = parts = use.split(".")[:-1]
    for point in entry_points(group=GROUP):
        if point.name == use and first in folders:
            return first, importlib.import_module(point.module)
    if first in folders:
        return None
    if not allowed:
        raise RecipeError(
            f"{where}: '{use}' is outside gristmill, and a recipe may not import what it likes; "
            f"install a package with an entry point in '{GROUP}', or, if you trust that module's "
            f"code, add --allow-plugins; folders of gristmill are {sorted(folders)}"
        )
    folder = next((part for part in reversed(parts) if part in folders), None)
    if folder is None:
        raise RecipeError(
            f"{where}: '{use}' must name a folder before its module, as mine.filters.short does; "
            f"folders are {sorted(folders)}"
        )
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        return folder, importlib.import_module(use)
    except Exception as error:  # a module of the user's may raise anything
        frames = traceback.extract_tb(error.__traceback__)[1:]
        own = (f"{f.filename}, line {f.lineno}: " for f in frames if "importlib" not in f.filename)
        why = f"{next(own, '')}{type(error).__name__}: {error}"
        raise RecipeError(f"{where}: '{use}' cannot be imported: {why}") from error


def permit(role: str, engine: Engine, *, allowed: bool) -> None:
    """Refuse an engine that acts outside the sandbox, unless that is allowed."""
    if engine.foreign and not allowed:
        raise RecipeError(
            f"engines.{role}: {engine.kind} answers outside the sandbox, with your rights, and a "
            "recipe may not start or call what it likes; if you trust it, add --allow-plugins"
        )
