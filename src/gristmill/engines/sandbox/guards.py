"""Inside the sandbox, in the parser: lead what tests compare through `compare.py`.

What the tests import is replaced by names for what it was before the code ran: the code may patch
it, the tests do not notice.
"""

import _ast as ast

from gristmill.engines.sandbox import chance, compare, taking
from gristmill.engines.sandbox.asserts import Asserts, is_denial
from gristmill.engines.sandbox.hiding import Literals, Variables, unroll
from gristmill.engines.sandbox.trees import (
    FUNCTIONS,
    NOWHERE,
    PREFIX,
    Nodes,
    at,
    call,
    meant,
    replace,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

OPERATORS = {ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt"}
OPERATORS |= {ast.GtE: "ge", ast.In: "in", ast.NotIn: "not_in"}
ASKED = {ast.Assert, ast.Assign, ast.AnnAssign, ast.For, ast.Compare, ast.BinOp, ast.Call}
NAMES = {ast.Name, ast.Attribute}
ASKING = {"isclose", "allclose", "approx", "count", "index", "issubset", "issuperset"}
"""Methods and functions that compare what they are given."""
STATEFUL = {"sys", "unittest", "mock"}
"""Modules of which tests set what they read again."""
MOCK = {"mock", "unittest.mock"}
"""How tests may call the module of `ANY`."""


def arm(nodes: "Nodes", shared: "Any", marks: int) -> "tuple[list[str], dict[str, Any]]":
    """Change the tests; return what each assert has to report, and what it takes to run them.

    `shared` is the compiled code, whose module is that of the tests.
    """
    if unroll(nodes):
        nodes = Nodes(nodes.all[0])
    names = {node.id for node in nodes.loaded()}
    asserts, taken = Asserts(nodes, marks), Taken(nodes)
    literals, variables = Literals(), Variables(nodes, shared)
    own = {node.name for node in nodes.of(*FUNCTIONS)}
    opened, leads = variables.opened, asserts.leads
    looked_at = ASKED | NAMES if nodes.of(ast.Import, ast.ImportFrom) else ASKED
    changed: dict[int, list[Any]] = dict(variables.lines)
    parents = {id(parent) for node, parent in nodes.pairs() if id(node) in changed}
    for node, parent in reversed(nodes.pairs()):  # parts come before what they are part of
        if id(node) in parents:
            replace(node, changed)
        instead, kind = node, type(node)
        lead, i = leads.get(id(node), ("", 0))
        if id(node) in opened:
            instead = through(opened[id(node)], node, node.id)
        elif lead == "equal":
            sides = map(literals.hide, (node.left, *node.comparators))
            instead = through(lead, node, i, *sides)
        elif kind in looked_at:
            instead = guarded(node, literals, own) if kind in ASKED else taken.instead(node, parent)
        if lead == "hold":
            instead = through(lead, node, i, node.operand if is_denial(node) else instead)
        if instead is not node:
            changed[id(node)] = [instead]
            parents.add(id(parent))
    if taken.found:
        begin_with(through("late", NOWHERE), nodes.all[0])
    needs = {"names": sorted(names), "taken": taken.wanted(), "hidden": literals.all}
    needs |= {"marks": asserts.marks, "words": asserts.words, "truths": asserts.wanted}
    return asserts.expected(), needs


def begin_with(node: "Any", tree: "Any") -> None:
    """Put a call in front of a text, behind imports from the future, which must be first."""
    lines = tree.body
    first = 0
    while first < len(lines) and is_head(lines[first]):
        first += 1
    lines.insert(first, at(ast.Expr(node), NOWHERE))


def is_head(line: "Any") -> bool:
    """Say whether a line is a docstring or an import from the future."""
    constant = type(line) is ast.Expr and type(line.value) is ast.Constant
    return constant or (type(line) is ast.ImportFrom and line.module == "__future__")


def codes() -> "dict[str, Any]":
    """Return what runs beside the program, as code."""
    kind = type(arm)
    return {
        name: found.__code__
        for module in (chance, compare, taking)
        for name, found in vars(module).items()
        if type(found) is kind
    }


def guarded(node: "Any", literals: Literals, own: set[str]) -> "Any":
    """Return what to write instead of a node that compares, or the node itself.

    `own` are functions of the tests: they are given expected values, too.
    """
    kind, hide = type(node), literals.hide
    if kind is ast.Assert:
        node.msg = node.msg and hide(node.msg)
    elif kind is ast.For:
        node.iter = hide(node.iter)
        hide_arguments(node.iter, hide)
    elif kind in (ast.Assign, ast.AnnAssign):
        node.value = node.value and hide(node.value)
    elif kind is ast.Compare and all(type(op) in OPERATORS for op in node.ops):
        sides = [hide(side) for side in (node.left, *node.comparators)]
        if len(sides) == 2:
            return through("compare", node, OPERATORS[type(node.ops[0])], *sides)
        node.left, *node.comparators = map(alone, sides)
    elif kind is ast.BinOp and type(node.op) is ast.Sub:
        return through("compare", node, "sub", hide(node.left), hide(node.right))
    elif kind is ast.Call:
        name = called(node)
        if name in ASKING or name.startswith("assert"):
            hide_arguments(node, hide)
            node.args = [arg if type(arg) is ast.Starred else alone(arg) for arg in node.args]
        elif name in own:
            hide_arguments(node, hide)
    return node


def hide_arguments(node: "Any", hide: "Callable[[Any], Any]") -> None:
    """Hide the literals that a call is given; anything else is left as it is."""
    if type(node) is ast.Call:
        node.args = [hide(arg) for arg in node.args]
        for word in node.keywords:
            word.value = hide(word.value)


def called(node: "ast.Call") -> str:
    """Return the last part of what a call names."""
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


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
                if name == "*":
                    self.note_all(node.module)
                else:
                    self.parts[name] = (node.module, alias.name)

    def note_all(self, module: str) -> None:
        """Remember all that a module gives; of one that is not there, that it is wanted."""
        names = taking.public(module)
        self.parts |= {name: (module, name) for name in names or ()}
        if names is None:
            self.found[f"{PREFIX}{module}.__name__"] = (module, "__name__")

    def instead(self, node: "Any", parent: "Any") -> "Any":
        """Return what to write for what a node means, or the node itself."""
        found = self.meaning(node) if type(node.ctx) is ast.Load else None
        if found is None:
            return node
        name = self.name(*found, node)
        return name if type(parent) is ast.Attribute else meant(name, parent, node)

    def meaning(self, node: "Any") -> "tuple[str, str] | None":
        """Return module and path of what a node means there, if anything."""
        if type(node) is ast.Name:
            return self.parts.get(node.id)
        if node.attr == "ANY" and dotted(node.value) in MOCK:
            return "unittest.mock", "ANY"
        if type(node.value) is not ast.Name:
            return None
        if node.value.id in self.modules:
            return self.modules[node.value.id], node.attr
        module, path = self.found.get(node.value.id, ("", ""))
        return (module, f"{path}.{node.attr}") if module else None

    def name(self, module: str, path: str, node: "Any") -> "Any":
        """Return a name that no text can write, and remember what it stands for."""
        name = f"{PREFIX}{module}.{path}__"
        self.found[name] = (module, path)
        return at(ast.Name(name, ast.Load()), node)

    def wanted(self) -> "list[tuple[str, str, str]]":
        """Return name, module and path of all."""
        return [(name, *found) for name, found in self.found.items()]


def dotted(node: "Any") -> str:
    """Return a name with dots as it is written; nothing for anything else."""
    if type(node) is ast.Attribute:
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if type(node) is ast.Name else ""
