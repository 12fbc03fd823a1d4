"""What changed between two versions of a Python file: its top-level functions and classes.

The source is parsed, never run or imported.
"""

from __future__ import annotations

import ast
import warnings

DEFINITION = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def changed(before: str, after: str) -> tuple[str, str] | None:
    """Return the definitions that both versions have and that differ, as two texts.

    None where nothing but other things changed, or a version is no Python. Definitions that were
    added or removed are no edit of something.
    """
    old, new = _definitions(before), _definitions(after)
    names = [name for name in old if name in new and old[name][0] != new[name][0]]
    if not names:
        return None
    return "\n\n\n".join(old[n][1] for n in names), "\n\n\n".join(new[n][1] for n in names)


def _definitions(source: str) -> dict[str, tuple[str, str]]:
    """Return what each top-level name means, without comments, and how it is written."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = ast.parse(source).body
        meanings = {node: ast.dump(node) for node in body if isinstance(node, DEFINITION)}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    lines, found = source.split("\n"), {}
    for node, meaning in meanings.items():
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        found[node.name] = (meaning, "\n".join(lines[first - 1 : node.end_lineno]))
    return found
