"""Programs that call functions: what they name, and what an answer looks like.

Source: the AutoTools of Shi et al., arXiv:2405.16533, and `mangopy/AutoTools` (Apache-2.0), which
reduces an observed answer to its types. It goes into the sandbox as text, where programs are
parsed, so it imports the standard library only.
"""

from __future__ import annotations

import ast
from typing import Any


def skeleton(value: Any) -> Any:
    """Return the types of a value in its own shape: of a list the first thing stands for all."""
    if isinstance(value, dict):
        return {name: skeleton(one) for name, one in value.items()}
    if isinstance(value, list):
        return [skeleton(one) for one in value[:1]]
    return "null" if value is None else type(value).__name__


def defined(source: str, call: str, inner: list[str]) -> dict[str, str]:
    """Return name, head and docstring of the one function that a program defines, or its error.

    It has a docstring and returns something, its call is an expression, and neither uses `inner`.
    """
    try:
        body = ast.parse(source).body
        ast.parse(call, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return {"error": f"no Python: {type(error).__name__}"}
    found = [node for node in body if isinstance(node, ast.FunctionDef)]
    if len(found) != 1 or not ast.get_docstring(found[0]):
        return {"error": "expected one function with a docstring"}
    if used := [*foreign(source, inner), *foreign(call, inner)]:
        return {"error": f"it uses {used}"}
    if not any(isinstance(node, ast.Return) for node in ast.walk(found[0])):
        return {"error": "it returns nothing"}
    one = found[0]
    head = f"def {one.name}({ast.unparse(one.args)})"
    return {"name": one.name, "head": head, "about": ast.get_docstring(one) or ""}


def foreign(program: str, inner: list[str]) -> list[str]:
    """Return what a program uses of the machinery behind its functions; of no Python, nothing."""
    try:
        nodes = list(ast.walk(ast.parse(program)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return sorted(name for name in names if name in inner or name.startswith("__"))
