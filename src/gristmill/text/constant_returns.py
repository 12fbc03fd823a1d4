"""Constants that a Python function gives back: answers known by heart.

The source of this file is sent into the sandbox, so it imports nothing else of ours: code that a
model wrote is parsed there and nowhere else.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator

OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def knows(code: str, answer: float) -> bool:
    """Say whether a `return`, or a name that is returned, has the answer without any variable."""
    tree = ast.parse(code)
    returned = [n.value for n in ast.walk(tree) if isinstance(n, ast.Return) and n.value]
    leaves = [leaf for value in returned for leaf in _leaves(value)]
    names = {leaf.id for leaf in leaves if isinstance(leaf, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(getattr(t, "id", 0) in names for t in node.targets):
            leaves += _leaves(node.value)
    return any(abs(value - answer) < 1e-9 for leaf in leaves for value in _constant(leaf))


def _leaves(node: ast.expr) -> Iterator[ast.expr]:
    """Yield what an expression can be: both sides of a condition, what a call such as int() has."""
    if isinstance(node, ast.IfExp):
        yield from _leaves(node.body)
        yield from _leaves(node.orelse)
    elif isinstance(node, ast.Call) and node.args:
        yield from _leaves(node.args[0])
    else:
        yield node


def _constant(node: ast.expr) -> Iterator[float]:
    """Yield the value of an expression of numbers, if that is what it is."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        if abs(node.value) < 1e15:
            yield float(node.value)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield from (-value for value in _constant(node.operand))
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        for left in _constant(node.left):
            for right in _constant(node.right):
                try:
                    yield OPERATORS[type(node.op)](left, right)
                except ArithmeticError:
                    continue
