"""Functions of Python code: their outlines, the stubs among them, calls of them.

The source of this file is sent into the sandbox, so it imports nothing else of ours: code that a
model wrote is parsed there and nowhere else.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
SAID = re.compile(r"(?m)^[ \t]*(?:>>> |assert )(.+)$")
"""A line of a docstring that calls something."""


def outline(text: str, name: str) -> dict[str, Any]:
    """Return name and stub of a function (the last one without a name), what stands around it."""
    try:
        tree = _parsed(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    found = [n for n in tree.body if isinstance(n, FUNCTION) and name in ("", n.name)]
    if not found:
        return {"error": f"no function {name}"}
    node = found[-1]
    shown = SAID.findall(ast.get_docstring(node) or "")
    context = "\n".join(text.split("\n")[: _first(node) - 1]).strip()
    stub = _with_body(node, [*node.body[: _has_docstring(node)], _raises()])
    shown_calls = [call for line in shown for call in calls(line, node.name)]
    known = [
        n.name for n in tree.body if isinstance(n, (*FUNCTION, ast.ClassDef)) and n is not node
    ]
    around = {"context": context, "known": known, "calls": shown_calls}
    return {"name": node.name, "stub": stub, **around}


def part(code: str, stub: str, known: list[str]) -> dict[str, Any]:
    """Return what a reply has of the function that a stub stands for, and its own new stubs.

    `code` is the function with the helpers that it brings along, without imports, which stand
    apart, and without functions that are `known`. A lost docstring comes back. `error` alone says
    why a reply is none: another signature, a body that is still open, no Python.
    """
    wanted: Any = _parsed(stub).body[0]
    try:
        tree = _parsed(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    mine = [n for n in tree.body if isinstance(n, FUNCTION) and n.name == wanted.name]
    if len(mine) != 1:
        return {"error": f"{len(mine)} functions {wanted.name}"}
    if _signature(mine[0]) != _signature(wanted):
        return {"error": f"another signature: {ast.unparse(mine[0].args)}"}
    if is_stub(mine[0]):
        return {"error": f"{wanted.name} is still open"}
    lines, stubs, imports, kept = code.split("\n"), {}, [], []
    for node in tree.body:
        name = getattr(node, "name", "")
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            imports.append(ast.unparse(node))
        elif node is mine[0]:
            lost = not _has_docstring(node) and _has_docstring(wanted)
            text = "\n".join(lines[_first(node) - 1 : node.end_lineno])
            kept.append(_with_body(node, [wanted.body[0], *node.body]) if lost else text)
        elif name in known or not isinstance(node, (*FUNCTION, ast.ClassDef, ast.Assign)):
            continue
        elif isinstance(node, FUNCTION) and is_stub(node):
            stubs[name] = ast.unparse(node)
        else:
            kept.append("\n".join(lines[_first(node) - 1 : node.end_lineno]))
    return {"code": "\n\n\n".join(kept), "imports": imports, "stubs": stubs}


def calls(text: str, name: str) -> list[str]:
    """Return the calls of a function that stand alone, or left of a comparison, in this order."""
    try:
        found = _parsed(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        lines = text.split("\n")
        return [call for line in lines for call in calls(line, name)] if lines[1:] else []
    values = [node.value for node in found if isinstance(node, ast.Expr)]
    sides = [node.left if isinstance(node, ast.Compare) else node for node in values]
    return [
        ast.unparse(node)
        for node in sides
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name
    ]


def flaw(code: str, stub: str) -> str:
    """Say why code is no whole version of the function that a stub stands for; "" if it is."""
    made = part(code, stub, [])
    if "error" in made:
        return str(made["error"])
    if made["stubs"]:
        return f"{', '.join(made['stubs'])} is still open"
    checks = [n for n in _parsed(code).body if isinstance(n, ast.Assert) or _is_test(n)]
    return f"it brings tests: line {checks[0].lineno}" if checks else ""


def prefix(code: str, name: str) -> str:
    """Return what stands above a function, its signature and its docstring."""
    found = outline(code, name)
    opening = found["stub"].removesuffix("raise NotImplementedError").rstrip()
    return f"{found['context']}\n\n\n{opening}".strip()


def _is_test(node: ast.stmt) -> bool:
    return getattr(node, "name", "").lower().startswith("test")


def joined(context: str, functions: Sequence[Mapping[str, Any]]) -> str:
    """Return a program of the `code` and `imports` of functions, in their order."""
    imports = dict.fromkeys(line for f in functions for line in f["imports"])
    blocks = ["\n".join(imports), context, *(f["code"] for f in functions)]
    return "\n\n\n".join(block for block in blocks if block)


def is_stub(node: Any) -> bool:
    """Say whether a function does nothing yet."""
    body = node.body[_has_docstring(node) :]
    return all(
        isinstance(n, ast.Pass)
        or (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))
        or (isinstance(n, ast.Raise) and "NotImplemented" in ast.unparse(n))
        for n in body
    )


def _parsed(code: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(code)


def _signature(node: Any) -> list[Any]:
    """Return how a function is called: names of its arguments, how many may be left out."""
    args = node.args
    groups = [args.posonlyargs + args.args, args.kwonlyargs]
    stars = [getattr(star, "arg", None) for star in (args.vararg, args.kwarg)]
    names = [[arg.arg for arg in group] for group in groups]
    return [isinstance(node, ast.AsyncFunctionDef), names, stars, len(args.defaults)]


def _first(node: Any) -> int:
    return int(min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]))


def _has_docstring(node: Any) -> bool:
    return ast.get_docstring(node) is not None


def _with_body(node: Any, body: list[ast.stmt]) -> str:
    """Return a function with another body, and leave the function itself as it is."""
    old, node.body = node.body, body
    try:
        return ast.unparse(ast.fix_missing_locations(node))
    finally:
        node.body = old


def _raises() -> ast.stmt:
    return ast.parse("raise NotImplementedError").body[0]
