"""Build what a recipe names by `use`: the one class of its kind in a module."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Mapping
from difflib import get_close_matches
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gristmill import telemetry
from gristmill.engines.base import Engine
from gristmill.errors import RecipeError
from gristmill.text.mistakes import explain

PACKAGE = "gristmill.engines"
Part = TypeVar("Part", bound=BaseModel)


def build_engines(recipe: str, named: Mapping[str, Mapping[str, Any]]) -> dict[str, Engine]:
    """Build what a recipe has under `engines`; sandbox and trainer are there without a name."""
    telemetry.switch_off()  # before anything imports what they run on
    entries = {"sandbox": {"use": "sandbox"}, "trainer": {"use": "trainer"}, **named}
    engines: dict[str, Engine] = {}
    alike: dict[str, Engine] = {}
    for role, entry in entries.items():
        if "use" not in entry:  # as --set engines.ROLE.model=X leaves it
            roles = ", ".join(role for role in sorted(named) if "use" in named[role])
            raise RecipeError(
                f"engines.{role}: {recipe} has no role '{role}'; its roles are "
                f"{roles or 'none'}; one of your own also needs `use`"
            )
        key = json.dumps(entry, sort_keys=True, default=str)
        if key not in alike:  # roles that ask for the same engine share it: one model in memory
            alike[key] = _build(f"engines.{role}", entry)
        engines[role] = alike[key]
    return engines


def _build(where: str, entry: Mapping[str, Any]) -> Engine:
    """Build the one engine that the module named by `use` defines."""
    use, known = entry["use"], modules(PACKAGE)
    if use not in known or not _engine_in(use):
        real = [name for name in known if _engine_in(name)]
        near = get_close_matches(str(use), real) or real
        raise RecipeError(f"{where}: no '{use}' in {PACKAGE}; did you mean one of {near}?")
    return built(importlib.import_module(f"{PACKAGE}.{use}"), where, entry, Engine)  # type: ignore[type-abstract]


def _engine_in(name: str) -> type[Engine] | None:
    return _class_in(importlib.import_module(f"{PACKAGE}.{name}"), Engine)  # type: ignore[type-abstract]


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
