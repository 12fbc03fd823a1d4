"""Packages that Python code calls, and what of them it calls.

The source of this file is sent into the sandbox, so it imports nothing else of ours: code that
nobody trusts is parsed there and nowhere else.
"""

from __future__ import annotations

import ast
import warnings


def used(code: str) -> dict[str, list[str]]:
    """Return `packages` that are referenced, not merely imported, and the `apis` that are called.

    An API is a dotted name such as `numpy.linalg.norm`, whatever the code calls it. Code that is
    no Python uses nothing.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {"packages": [], "apis": []}
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                names[alias.asname or whole] = whole
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    loaded = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} & names.keys()
    called = {_dotted(n.func, names) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    return {
        "packages": sorted({names[name].partition(".")[0] for name in loaded}),
        "apis": sorted(called - {""}),
    }


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    """Return the full name of what is called; "" if it belongs to no import."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in names:
        return ""
    return ".".join([names[node.id], *reversed(parts)])
