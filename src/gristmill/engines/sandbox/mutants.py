"""Inside the sandbox: small mistakes made in a program, to see if its tests notice.

Every place that can be changed gives one mutant: a comparison, an arithmetic or logical operator
turned into a near one, a `not` or a minus dropped, a number one higher, True for False. Places
are counted in the order of `trees.walk`. Some mutants behave as the program does: no test can
notice those.
"""

import _ast as ast

from gristmill.engines.sandbox.trees import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OPERATORS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


def places(tree: "ast.Module") -> "list[tuple[Any, str]]":
    """Return every node that can be changed, with what to change in it."""
    found: list[tuple[Any, str]] = []
    for node in walk(tree):
        if isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
            found.append((node, "ops"))
        elif (
            isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign)) and type(node.op) in OPERATORS
        ):
            found.append((node, "op"))
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
            found.append((node, "unary"))
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
            found.append((node, "value"))
    return found


def mutate(tree: "ast.Module", i: int) -> None:
    """Change the i-th place."""
    node, what = places(tree)[i]
    if what == "ops":
        node.ops[0] = OPERATORS[type(node.ops[0])]()
    elif what == "op":
        node.op = OPERATORS[type(node.op)]()
    elif what == "unary":
        node.op = ast.UAdd() if isinstance(node.op, ast.USub) else double_not(node)
    else:
        value = node.value
        node.value = not value if type(value) is bool else value + 1


def double_not(node: "Any") -> "Any":
    """Return the operator of `not (not x)`: the truth of x."""
    inner = ast.UnaryOp(ast.Not(), node.operand)
    for name in node._attributes:
        setattr(inner, name, getattr(node, name, None))
    node.operand = inner
    return ast.Not()
