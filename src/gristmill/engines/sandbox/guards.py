"""Inside the sandbox, in the parser: lead what tests compare through `compare.py`.

What the tests import is replaced by names for what it was before the code ran: the code may patch
it, the tests do not notice.
"""

import _ast as ast

from gristmill.engines.sandbox import canary, compare
from gristmill.engines.sandbox.asserts import called
from gristmill.engines.sandbox.trees import FUNCTIONS, PREFIX, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OPERATORS = {ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt"}
OPERATORS |= {ast.GtE: "ge", ast.In: "in", ast.NotIn: "not_in"}
NAMES, IMPORTS = (ast.Name, ast.Attribute), (ast.Import, ast.ImportFrom)
LEAVES = {ast.Name, ast.Constant, ast.Load, ast.Store, *OPERATORS}
BINDING = {
    *FUNCTIONS,
    ast.ClassDef,
    ast.ExceptHandler,
    ast.MatchAs,
    ast.MatchStar,
    ast.MatchMapping,
}
ASKING = {"isclose", "allclose", "approx", "count", "index", "issubset", "issuperset"}
"""Methods and functions that compare what they are given."""
STATEFUL = {"sys", "unittest", "mock"}
"""Modules of which tests set what they read again."""


def arm(tests: "ast.Module", *, is_canary: bool) -> "dict[str, Any]":
    """Change the tests; return what the program's process needs to run them."""
    nodes = walk(tests)
    names = {n.id for n in nodes if type(n) is ast.Name and type(n.ctx) is ast.Load}
    taken = Taken(nodes)
    changed: dict[int, Any] = {}
    for node in reversed(nodes):  # parts come before what they are part of
        if type(node) not in LEAVES:
            for field in node._fields:
                child = getattr(node, field, None)
                if type(child) is list:
                    child[:] = [changed.get(id(item), item) for item in child]
                elif id(child) in changed:
                    setattr(node, field, changed[id(child)])
        instead = taken.instead(node) if type(node) in NAMES else guarded(node)
        if instead is not node:
            changed[id(node)] = instead
    kind = type(arm)
    tools = {
        name: found.__code__
        for module in (canary, compare)
        for name, found in vars(module).items()
        if type(found) is kind
    }
    tools["shift"] = canary.chosen(canary=is_canary)
    return {"tools": tools, "names": sorted(names), "taken": taken.wanted()}


def guarded(node: "Any") -> "Any":
    """Return what to write instead of a node that compares, or the node itself."""
    if type(node) is ast.Compare and all(type(op) in OPERATORS for op in node.ops):
        if len(node.ops) == 1:
            operator = OPERATORS[type(node.ops[0])]
            return through(
                "compare", node, at(ast.Constant(operator), node), node.left, *node.comparators
            )
        node.left, *node.comparators = map(alone, (node.left, *node.comparators))
    elif type(node) is ast.BinOp and type(node.op) is ast.Sub:
        return through("compare", node, at(ast.Constant("sub"), node), node.left, node.right)
    elif type(node) is ast.Call:
        name = called(node)
        if name in ASKING or name.startswith("assert"):
            node.args = [arg if type(arg) is ast.Starred else alone(arg) for arg in node.args]
    return node


def alone(node: "Any") -> "Any":
    """Return a value that is looked at by itself."""
    return through("alone", node, node)


def through(name: str, near: "Any", *args: "Any") -> "Any":
    """Return a call of the harness at a place; `trees.place` would look at every part again."""
    function = at(ast.Name(f"{PREFIX}{name}__", ast.Load()), near)
    return at(ast.Call(function, list(args), []), near)


def at(node: "Any", near: "Any") -> "Any":
    """Return a new node with the place of another."""
    node.lineno, node.col_offset = near.lineno, near.col_offset
    node.end_lineno, node.end_col_offset = near.end_lineno, near.end_col_offset
    return node


def bound(nodes: "list[Any]") -> set[str]:
    """Return every name that a text gives a value, but by an import."""
    names = set()
    for node in nodes:
        kind = type(node)
        if kind is ast.Name:
            if type(node.ctx) is not ast.Load:
                names.add(node.id)
        elif kind is ast.arg:
            names.add(node.arg)
        elif kind in BINDING:
            names.add(getattr(node, "name", getattr(node, "rest", "")) or "")
    return names


class Taken:
    """Names for what tests use of modules."""

    def __init__(self, nodes: "list[Any]") -> None:
        self.found: dict[str, tuple[str, str]] = {}
        self.modules: dict[str, str] = {}
        self.parts: dict[str, tuple[str, str]] = {}
        own = bound(nodes)
        for node in nodes:
            if type(node) in IMPORTS:
                self.note(node)
        stored = {
            getattr(node.value, "id", "")
            for node in nodes
            if type(node) is ast.Attribute and type(node.ctx) is not ast.Load
        }
        for names in (self.modules, self.parts):
            for name in own | stored | STATEFUL:
                names.pop(name, None)

    def note(self, node: "Any") -> None:
        """Remember what an import makes a name mean."""
        for alias in node.names:
            name = alias.asname or alias.name
            if type(node) is ast.Import:
                top = name.partition(".")[0]
                self.modules[top] = alias.name if alias.asname else top
            elif node.module not in (None, "__main__") and not node.level:
                self.parts[name] = (node.module, alias.name)

    def instead(self, node: "Any") -> "Any":
        """Return the name for what a node means, or the node itself."""
        if type(node.ctx) is not ast.Load:
            return node
        if type(node) is ast.Name:
            found = self.parts.get(node.id)
            return self.name(*found, node) if found else node
        if type(node.value) is ast.Name:
            if node.value.id in self.modules:
                return self.name(self.modules[node.value.id], node.attr, node)
            if node.value.id in self.found:
                module, path = self.found[node.value.id]
                return self.name(module, f"{path}.{node.attr}", node)
        return node

    def name(self, module: str, path: str, node: "Any") -> "Any":
        """Return a name that no text can write, and remember what it stands for."""
        name = f"{PREFIX}{module}.{path}__"
        self.found[name] = (module, path)
        return at(ast.Name(name, ast.Load()), node)

    def wanted(self) -> "list[tuple[str, str, str]]":
        """Return name, module and path of all."""
        return [(name, *found) for name, found in self.found.items()]
