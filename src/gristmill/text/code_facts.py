"""What Python code is made of.

The source of this file is sent into the sandbox, so it imports nothing else of ours: code that a
model wrote is parsed there and nowhere else.
"""

from __future__ import annotations

import ast
import warnings
from typing import Any

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
BRANCH = (
    ast.If, ast.For, ast.AsyncFor, ast.While, ast.IfExp, ast.ExceptHandler, ast.comprehension,
    ast.match_case, ast.Assert,
)  # fmt: skip
"""Where a path divides (McCabe, "A Complexity Measure", 1976)."""


def facts(code: str) -> dict[str, Any]:
    """Return what rules on code ask for; `error` alone where it does not compile."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
            compile(code, "<answer>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    functions = [node for node in ast.walk(tree) if isinstance(node, FUNCTION)]
    public = [n for n in tree.body if isinstance(n, (*FUNCTION, ast.ClassDef)) and n.name[0] != "_"]
    return {
        "imports": sorted({name for node in ast.walk(tree) for name in _imported(node)}),
        "stubs": [node.name for node in functions if _is_stub(node)],
        "undocumented": [node.name for node in public if not ast.get_docstring(node)],
        "complexities": {node.name: _complexity(node) for node in functions},
    }


def _imported(node: ast.AST) -> list[str]:
    """Return the packages that a statement imports, also one that calls the built-in function."""
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [] if node.level else [(node.module or "").partition(".")[0]]
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "__import__" and node.args:
        name = getattr(node.args[0], "value", None)
        return [name.partition(".")[0]] if isinstance(name, str) else []
    return []


def _is_stub(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Say whether a function does nothing, and is no part of a protocol that others fill in."""
    if any(
        "abstract" in ast.unparse(d) or "overload" in ast.unparse(d) for d in node.decorator_list
    ):
        return False
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return all(_does_nothing(statement) for statement in body)


def _does_nothing(node: ast.stmt) -> bool:
    if isinstance(node, ast.Raise):
        return "NotImplemented" in ast.unparse(node)
    is_value = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Pass) or is_value


def _complexity(node: ast.AST) -> int:
    """Return the number of independent paths; functions inside count as well."""
    inner = list(ast.walk(node))
    choices = sum(len(n.values) - 1 for n in inner if isinstance(n, ast.BoolOp))
    return 1 + choices + sum(isinstance(n, BRANCH) for n in inner)
