"""What Python code takes from a library, and whether its documentation knows it so.

The source of this file is sent into the sandbox, where the library is, so it imports nothing else
of ours.
"""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from typing import Any

DYNAMIC = {"__import__", "importlib", "eval", "exec", "globals", "sys.modules"}
"""Ways round an import that can be read."""


def uses(code: str, documented: list[str]) -> dict[str, Any]:
    """Return what of the library is called; or `error`, and why.

    `undocumented`: something else of the library, or something that cannot be read. `misused`: a
    call that the real signature does not take.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return {"error": "undocumented", "detail": f"no Python: {error}"}
    names = _imported(tree)
    roots = {path.split(".")[0] for path in documented}
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    loads = {_path(node, names) for node in ast.walk(tree) if id(node) not in inner}
    named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    tops = {path.split(".")[0] for path in names.values()}
    if DYNAMIC & {*named, *loads, *tops, *names.values()}:
        return {"error": "undocumented", "detail": "an import that cannot be read"}
    modules = {d.rpartition(".")[0] for d in documented}
    for path in sorted({*names.values(), *loads} - {*documented}):
        # A module is imported as a way to its parts, and not handed to `getattr` as a whole.
        is_way = path not in loads and any(f"{m}.".startswith(f"{path}.") for m in modules)
        if path.split(".")[0] in roots and not is_way:
            return {"error": "undocumented", "detail": path}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    made = {id(call): _path(call.func, names) for call in calls}
    for call in calls:
        if made[id(call)] in documented and (wrong := _misuse(made[id(call)], call)):
            return {"error": "misused", "detail": f"{made[id(call)]}: {wrong}"}
    return {"calls": sorted({path for path in made.values() if path in documented})}


def _imported(tree: ast.Module) -> dict[str, str]:
    """Return what every imported name stands for; all of a module is `module.*`."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                found[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _path(node: ast.AST, names: dict[str, str]) -> str:
    """Return the full name of what an expression takes from a module, or ""."""
    if isinstance(node, ast.Attribute):
        top = _path(node.value, names)
        return f"{top}.{node.attr}" if top else ""
    return names.get(node.id, "") if isinstance(node, ast.Name) else ""


def _misuse(path: str, call: ast.Call) -> str:
    """Say what is wrong with a call's arguments; "" where nothing is, or nobody can say."""
    try:
        target = _found(path)
    except (ImportError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    words = {word.arg: word.value for word in call.keywords if word.arg}
    is_open = len(words) < len(call.keywords) or any(
        isinstance(argument, ast.Starred) for argument in call.args
    )
    try:
        if not is_open:
            inspect.signature(target).bind(*call.args, **words)
    except ValueError:
        return ""
    except TypeError as error:
        return str(error)
    return ""


def _found(path: str) -> Any:
    """Return what a full name stands for: the longest part that is a module, then its parts."""
    parts = path.split(".")
    for n in range(len(parts) - 1, 0, -1):
        try:
            found = import_module(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        for name in parts[n:]:
            found = getattr(found, name)
        return found
    raise ModuleNotFoundError(path)
