"""Python files as what can be filled in: nodes on which completion fails often, and definitions.

Places are those of the text itself, whatever its line ends, tabs or byte order mark.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

KINDS: dict[type[ast.AST], str] = {
    **dict.fromkeys((ast.If, ast.IfExp), "conditional"),
    **dict.fromkeys((ast.For, ast.AsyncFor, ast.While), "loop"),
    **dict.fromkeys((ast.Dict, ast.List, ast.Set), "literal"),
    **dict.fromkeys((ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp), "comprehension"),
    ast.Call: "call",
}
LINE_END = re.compile(rb"\r\n|\r|\n")
WORD = re.compile(r"[A-Za-z_]\w*")
COMMON = {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "self", "cls", "args", "kwargs"}
BOM = "\ufeff"
DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class Span:
    """A node of a file: where it is, its kind, its distinct symbols."""

    start: int
    """Place of its first byte in UTF-8; `end` is behind its last. Texts of all would be large."""
    end: int
    kind: str
    complexity: int


def spans(code: str) -> list[Span] | None:
    """Return the nodes that can be left out, in order of place; None for what is no Python.

    What an f-string holds has no place of its own before Python 3.12, and `elif` is half a node.
    """
    if (tree := parsed(code)) is None:
        return None
    data = code.encode()
    first = len(BOM.encode()) if code.startswith(BOM) else 0
    starts = [first, *(match.end() for match in LINE_END.finditer(data, first))]
    found = {}
    for node in _walk(tree):
        if kind := KINDS.get(type(node)):
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[(node.end_lineno or 1) - 1] + (node.end_col_offset or 0)
            if not data.startswith(b"elif", start):
                found[start, end] = Span(start, end, kind, len(_symbols(node)))
    return [found[place] for place in sorted(found)]


def cut(code: str, span: Span) -> tuple[str, str, str]:
    """Return what stands before a node, the node, and what stands behind it."""
    data = code.encode()
    parts = data[: span.start], data[span.start : span.end], data[span.end :]
    before, middle, behind = (part.decode() for part in parts)
    return before, middle, behind


def parsed(code: str) -> ast.Module | None:
    """Return the tree of a file; None where it has none."""
    try:
        code.encode()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code.removeprefix(BOM))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def identifiers(text: str) -> list[str]:
    """Return the names in a text, without those that every file has."""
    return [word for word in WORD.findall(text) if word not in COMMON]


def definitions(code: str, max_lines: int = 20) -> list[tuple[str, str]]:
    """Return name and first lines of every function and class of a module."""
    lines = code.removeprefix(BOM).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [
        (node.name, "\n".join(lines[node.lineno - 1 : node.end_lineno][:max_lines]))
        for node in getattr(parsed(code), "body", ())
        if isinstance(node, DEFINITION)
    ]


def _walk(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    waiting = [node]
    while waiting:
        top = waiting.pop()
        if isinstance(top, ast.expr | ast.stmt):
            yield top
        if not isinstance(top, ast.JoinedStr):
            waiting += ast.iter_child_nodes(top)


def _symbols(node: ast.AST) -> set[str]:
    named = {ast.Name: "id", ast.Attribute: "attr", ast.keyword: "arg", ast.arg: "arg"}
    found = {getattr(n, named[type(n)]) for n in ast.walk(node) if type(n) in named}
    return {name for name in found if name}
