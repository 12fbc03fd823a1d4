"""Inside the sandbox: syntax trees, without the `ast` module and what its import costs."""

import _ast as ast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
PREFIX = "__gm_"
NOWHERE = {"lineno": 1, "col_offset": 0, "end_lineno": 1, "end_col_offset": 0}


def walk(node: "Any") -> "list[Any]":
    """Return a node and everything under it, as it is now."""
    found = [node]
    tree = ast.AST
    for node in found:  # grows while it is read
        for field in node._fields:
            child = getattr(node, field, None)
            if isinstance(child, tree):
                found.append(child)
            elif child.__class__ is list:
                found += [item for item in child if isinstance(item, tree)]
    return found


def literal(node: "Any") -> "Any":
    """Return the value of a literal without evaluating anything, or raise ValueError."""
    if isinstance(node, ast.Constant) and node.value is not Ellipsis:
        return node.value
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        kind = {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)]
        try:
            return kind([literal(item) for item in node.elts])
        except TypeError as error:
            raise ValueError from error
    if isinstance(node, ast.Dict) and None not in node.keys:
        try:
            return {literal(k): literal(v) for k, v in zip(node.keys, node.values, strict=True)}
        except TypeError as error:
            raise ValueError from error
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        value = literal(node.operand)
        if type(value) in (int, float, complex):
            return -value if isinstance(node.op, ast.USub) else value
    raise ValueError


def call(name: str, *args: "Any") -> "ast.Call":
    """Return a call of a name; numbers become constants."""
    nodes: list[Any] = [arg if isinstance(arg, ast.AST) else ast.Constant(arg) for arg in args]
    return ast.Call(ast.Name(name, ast.Load()), nodes, [])


def statement(expression: "Any", near: "Any") -> "Any":
    """Return an expression as a statement of the line of `near`."""
    return place(ast.Expr(expression), near)


def level(tree: "Any") -> None:
    """Put every node at one place: nothing of how the text was laid out remains."""
    for part in walk(tree):
        for name in getattr(part, "_attributes", ()):
            setattr(part, name, NOWHERE[name])


def place(node: "Any", near: "Any") -> "Any":
    """Give every new node a line, so that it can be compiled."""
    at = {name: getattr(near, name, value) for name, value in NOWHERE.items()}
    for part in walk(node):
        for name, value in at.items():
            if not hasattr(part, name) and name in getattr(part, "_attributes", ()):
                setattr(part, name, value)
    return node
