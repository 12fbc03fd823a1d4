"""What Python code is made of.

The source of this file is sent into the sandbox, so it imports nothing else of ours: code that a
model wrote is parsed there and nowhere else.
"""

from __future__ import annotations

import ast
import re
import warnings
from typing import Any

OPEN = re.compile(r"\b(?:Protocol|ABC|ABCMeta)\b")
"""Base of classes whose methods others fill in."""
IMPORTS = ("__import__", "import_module")
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
BRANCH = (
    ast.If, ast.For, ast.AsyncFor, ast.While, ast.IfExp, ast.ExceptHandler, ast.comprehension,
    ast.match_case,
)  # fmt: skip
"""Where a path divides (McCabe, "A Complexity Measure", 1976). A check is none: a list of a hundred
asserts has one way through."""


def facts(code: str) -> dict[str, Any]:
    """Return what rules on code ask for; `error` alone where it does not compile."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
            compile(code, "<answer>", "exec", dont_inherit=True)
        return _facts(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _facts(tree: ast.Module) -> dict[str, Any]:
    functions = [node for node in ast.walk(tree) if isinstance(node, FUNCTION)]
    filled = _filled_in(tree)
    public = [n for n in tree.body if isinstance(n, (*FUNCTION, ast.ClassDef)) and n.name[0] != "_"]
    return {
        "imports": sorted({name for node in ast.walk(tree) for name in _imported(node)}),
        "stubs": [node.name for node in functions if node not in filled and _is_stub(node)],
        "undocumented": [
            node.name for node in public if not ast.get_docstring(node) and not _is_open(node)
        ],
        "complexities": {node.name: _complexity(node) for node in functions},
    }


def _imported(node: ast.AST) -> list[str]:
    """Return the packages that a statement imports, also one that calls a function for it."""
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [] if node.level else [(node.module or "").partition(".")[0]]
    if isinstance(node, ast.Call) and _called(node) in IMPORTS and node.args:
        name = getattr(node.args[0], "value", None)
        return [name.partition(".")[0]] if isinstance(name, str) else []
    return []


def _called(node: ast.Call) -> str:
    return getattr(node.func, "id", "") or getattr(node.func, "attr", "")


def _filled_in(tree: ast.Module) -> set[ast.AST]:
    """Return the methods that others fill in: of protocols, and those that a subclass here has."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    above = {node: [*map(ast.unparse, [*node.bases, *node.keywords])] for node in classes}
    parents: dict[str, list[str]] = {}
    for node, bases in above.items():
        parents.setdefault(node.name, []).extend(base.partition("[")[0] for base in bases)
    given: dict[str, set[str]] = {}
    for node in classes:
        names = {method.name for method in node.body if isinstance(method, FUNCTION)}
        for base in _ancestors(node.name, parents):
            given.setdefault(base, set()).update(names)
    return {
        method
        for node in classes
        for method in node.body
        if isinstance(method, FUNCTION)
        and (method.name in given.get(node.name, ()) or any(map(OPEN.search, above[node])))
    }


def _ancestors(name: str, parents: dict[str, list[str]]) -> set[str]:
    """Return the other classes that a class comes from, at any distance."""
    found, left = set[str](), list(parents[name])
    while left:
        if (one := left.pop()) not in found:
            found.add(one)
            left += parents.get(one, [])
    return found - {name}


def _is_open(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Say whether a function only says what others do."""
    return any(re.search("abstract|overload", ast.unparse(d)) for d in node.decorator_list)


def _is_stub(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Say whether a function leaves undone what it is for; special methods may do nothing."""
    is_special = node.name.startswith("__") and node.name.endswith("__")
    if _is_open(node) or (is_special and (node.name != "__init__" or len(node.args.args) == 1)):
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
