"""Inside the sandbox, in the parser: lead what tests compare through `compare.py`.

What the tests import is replaced by names for what it was before the code ran: the code may patch
it, the tests do not notice.
"""

import _ast as ast

from gristmill.engines.sandbox import canary, compare
from gristmill.engines.sandbox.asserts import called
from gristmill.engines.sandbox.trees import FIELDS, PREFIX, at, call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gristmill.engines.sandbox.asserts import Asserts
    from gristmill.engines.sandbox.trees import Nodes

OPERATORS = {ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt"}
OPERATORS |= {ast.GtE: "ge", ast.In: "in", ast.NotIn: "not_in"}
COMPARING = {ast.Compare, ast.BinOp, ast.Call}
NAMES = {ast.Name, ast.Attribute}
ASKING = {"isclose", "allclose", "approx", "count", "index", "issubset", "issuperset"}
"""Methods and functions that compare what they are given."""
STATEFUL = {"sys", "unittest", "mock"}
"""Modules of which tests set what they read again."""


def arm(nodes: "Nodes", asserts: "Asserts", *, is_canary: bool) -> "dict[str, Any]":
    """Change the tests; return what the program's process needs to run them."""
    names = {node.id for node in nodes.loaded()}
    taken = Taken(nodes)
    looked_at = COMPARING | NAMES if taken.modules or taken.parts else COMPARING
    leads = asserts.leads
    changed: dict[int, list[Any]] = dict(asserts.lines)
    parents = {id(parent) for node, parent in nodes.pairs() if id(node) in changed}
    for node, parent in reversed(nodes.pairs()):  # parts come before what they are part of
        if id(node) in parents:
            replace(node, changed)
        instead, kind, led = node, type(node), leads.get(id(node))
        if led == "equal":
            instead = through(led, node, node.left, *node.comparators)
        elif kind in looked_at:
            instead = taken.instead(node) if kind in NAMES else guarded(node)
        if led in ("near", "hold"):
            instead = through(led, node, instead)
        if instead is not node:
            changed[id(node)] = [instead]
            parents.add(id(parent))
    tools = {"shift": canary.chosen(canary=is_canary)}
    return {"tools": tools, "names": sorted(names), "taken": taken.wanted()}


def replace(node: "Any", changed: "dict[int, list[Any]]") -> None:
    """Put what stands instead of them into the place of parts of a node."""
    for field in FIELDS[type(node)]:
        child = getattr(node, field, None)
        if type(child) is list:
            child[:] = [new for item in child for new in changed.get(id(item), (item,))]
        elif id(child) in changed:
            setattr(node, field, changed[id(child)][0])


def codes() -> "dict[str, Any]":
    """Return what runs beside the program, as code; `shift` comes with each run."""
    kind = type(arm)
    return {
        name: found.__code__
        for module in (canary, compare)
        for name, found in vars(module).items()
        if type(found) is kind and name != "shift"
    }


def guarded(node: "Any") -> "Any":
    """Return what to write instead of a node that compares, or the node itself."""
    if type(node) is ast.Compare and all(type(op) in OPERATORS for op in node.ops):
        if len(node.ops) == 1:
            operator = OPERATORS[type(node.ops[0])]
            return through("compare", node, operator, node.left, *node.comparators)
        node.left, *node.comparators = map(alone, (node.left, *node.comparators))
    elif type(node) is ast.BinOp and type(node.op) is ast.Sub:
        return through("compare", node, "sub", node.left, node.right)
    elif type(node) is ast.Call:
        name = called(node)
        if name in ASKING or name.startswith("assert"):
            node.args = [arg if type(arg) is ast.Starred else alone(arg) for arg in node.args]
    return node


def alone(node: "Any") -> "Any":
    """Return a value that is looked at by itself."""
    return through("alone", node, node)


def through(name: str, near: "Any", *args: "Any") -> "Any":
    """Return a call of the harness."""
    return call(f"{PREFIX}{name}__", near, *args)


class Taken:
    """Names for what tests use of modules."""

    def __init__(self, nodes: "Nodes") -> None:
        self.found: dict[str, tuple[str, str]] = {}
        self.modules: dict[str, str] = {}
        self.parts: dict[str, tuple[str, str]] = {}
        imports = nodes.of(ast.Import, ast.ImportFrom)
        if not imports:
            return
        for node in imports:
            self.note(node)
        stored = {
            getattr(node.value, "id", "")
            for node in nodes.of(ast.Attribute)
            if type(node.ctx) is not ast.Load
        }
        for names in (self.modules, self.parts):
            for name in nodes.bound() | stored | STATEFUL:
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
