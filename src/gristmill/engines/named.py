"""Build what a recipe names by `use`: the one class of its kind in a module."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gristmill.errors import RecipeError
from gristmill.text.mistakes import explain

Part = TypeVar("Part", bound=BaseModel)


def build(package: str, where: str, entry: Mapping[str, Any], kind: type[Part]) -> Part:
    """Build the one class of a kind that the module of a package named by `use` defines."""
    use, known = entry.get("use"), modules(package)
    if use not in known or not _class_in(importlib.import_module(f"{package}.{use}"), kind):
        real = [n for n in known if _class_in(importlib.import_module(f"{package}.{n}"), kind)]
        near = get_close_matches(str(use), real) or real
        raise RecipeError(f"{where}: no '{use}' in {package}; did you mean one of {near}?")
    return built(importlib.import_module(f"{package}.{use}"), where, entry, kind)


def modules(package: str) -> list[str]:
    """Return the names of a package's modules."""
    return sorted(m.name for m in iter_modules(importlib.import_module(package).__path__))


def built(module: ModuleType, where: str, entry: Mapping[str, Any], kind: type[Part]) -> Part:
    """Build the one class of a kind that a module defines; everything else is a parameter."""
    params = {k: v for k, v in entry.items() if k not in ("use", "as")}
    cls = _class_in(module, kind)
    if cls is None:
        raise RecipeError(f"{where}: {module.__name__} defines no {kind.__name__.lower()}")
    try:
        return cls(**params)
    except ValidationError as error:
        mistakes = explain(error, cls.model_fields)
        raise RecipeError(f"{where} ({entry['use']}): {mistakes}") from error


def _class_in(module: ModuleType, kind: type[Part]) -> type[Part] | None:
    name = module.__name__
    for _, cls in inspect.getmembers(module, inspect.isclass):
        own = cls.__module__ == name or cls.__module__.startswith(name + ".")
        if own and issubclass(cls, kind) and not inspect.isabstract(cls):
            return cls
    return None
