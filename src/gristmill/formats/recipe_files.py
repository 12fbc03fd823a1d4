"""Recipes as files: found by name or path, read as plain YAML. What they mean is not known here."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from gristmill.errors import RecipeError
from gristmill.text.plain_yaml import parse

FOLDERS = ("generators", "filters", "verifiers", "scorers", "selectors")
"""What the `use` of a stage of the package, or of one that is installed, begins with."""


def read_recipe(source: str | Path) -> tuple[Path, dict[str, Any]]:
    """Return the file of a recipe, or of a run's `recipe.lock.yaml`, and what it says."""
    path = find(source)
    data = parse(_text(path), str(path))
    if not isinstance(data, dict):
        raise RecipeError(
            f"{path}: expected keys such as name, seeds and stages, "
            f"found {type(data).__name__}; `build-dataset init NAME` writes a recipe to edit"
        )
    return path, dict(data.get("recipe") or {}) if "fingerprint" in data else data


def shipped() -> dict[str, Path]:
    """Return the recipes of the package by name."""
    folder = Path(__file__).parents[1] / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find(source: str | Path) -> Path:
    """Return the file of a recipe that is named by its path or, when shipped, by its name."""
    path, known = Path(source), shipped()
    if path.is_file():
        return path
    if str(source) in known:
        return known[str(source)]
    if path.is_dir():
        raise RecipeError(f"{path} is a folder; name the recipe's file, such as recipe.yaml")
    beside = {str(p) for p in path.parent.glob("*.y*ml")} if path.parent.is_dir() else set()
    same = [f"{source}{end}" for end in (".yaml", ".yml") if f"{path}{end}" in beside]
    near = same or get_close_matches(str(path), [*beside, *known])
    raise RecipeError(
        f"no recipe '{source}': it is neither a file nor a shipped recipe; "
        + (f"did you mean {near}? " if near else "")
        + "`build-dataset list recipes` names all"
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{path}: byte {error.start} is not UTF-8; save the recipe as UTF-8 text"
        ) from error
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror}") from error
