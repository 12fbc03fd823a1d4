"""Overrides such as `stages.-1.k=500`: one value of a tree of dicts and lists."""

from __future__ import annotations

from typing import Any

from gristmill.errors import RecipeError
from gristmill.text.plain_yaml import parse


def put(data: Any, override: str) -> None:
    """Set the value under the path, in place; list positions may count from the end."""
    path, equals, text = override.partition("=")
    if not equals:
        raise RecipeError(f"--set {override}: expected PATH=VALUE, such as stages.-1.k=500")
    *heads, last = path.split(".")
    for i, part in enumerate(heads):
        data = _child(data, part, override, ".".join(heads[:i]) or "the recipe")
    value = parse(text, f"--set {override}")
    if isinstance(data, list):
        data[_place(data, last, override, ".".join(heads))] = value
    elif isinstance(data, dict):
        data[last] = value
    else:
        raise RecipeError(f"--set {override}: {'.'.join(heads)} is {data!r}, which has no parts")


def _child(data: Any, part: str, override: str, where: str) -> Any:
    if isinstance(data, list):
        return data[_place(data, part, override, where)]
    if not isinstance(data, dict):
        raise RecipeError(f"--set {override}: {where} is {data!r}, which has no parts")
    return data.setdefault(part, {})


def _place(data: list[Any], part: str, override: str, where: str) -> int:
    try:
        place = int(part)
        data[place]
    except (ValueError, IndexError):
        bounds = f"{-len(data)}..{len(data) - 1}"
        raise RecipeError(
            f"--set {override}: {where} has positions {bounds}, found '{part}'"
        ) from None
    return place
