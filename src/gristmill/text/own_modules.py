"""Python files that import each other, and tests of them, as far as they must be parsed for it.

The source of this file is sent into the sandbox, so it imports nothing else of ours: code that a
model wrote is parsed there and nowhere else.
"""

from __future__ import annotations

import ast
import warnings
from typing import Any

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def apart(tests: str, modules: list[str]) -> dict[str, str]:
    """Return what tests import of the modules, and the tests without that; or an `error`."""
    try:
        tree = _parsed(tests)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    own = {name.split(".")[0] for name in modules}
    found: list[Any] = [node for node in ast.walk(tree) if _imports(node) & own]
    if not found:
        return {"error": f"no import of {', '.join(sorted(own))}"}
    if not all(node in tree.body for node in found):
        return {"error": "an import of a file inside a function or block"}
    if any(name.name == "*" for node in found for name in node.names):
        return {"error": "an import of everything"}
    lines = [ast.unparse(node) for node in found]
    tree.body = [node for node in tree.body if node not in found]
    return {"imports": "\n".join(lines), "tests": ast.unparse(tree)}


def stubbed(code: str) -> str:
    """Return code whose functions and methods return None."""
    tree = _parsed(code)
    for node in ast.walk(tree):
        if isinstance(node, FUNCTION):
            node.body = [ast.Pass()]
    return ast.unparse(ast.fix_missing_locations(tree))


def _imports(node: Any) -> set[str]:
    """Return the top modules that a statement imports."""
    if isinstance(node, ast.ImportFrom):
        return {(node.module or ".").split(".")[0]}
    names = node.names if isinstance(node, ast.Import) else []
    return {name.name.split(".")[0] for name in names}


def _parsed(code: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(code)
