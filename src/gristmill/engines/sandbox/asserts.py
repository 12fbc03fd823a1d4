"""Inside the sandbox: tests that count their asserts, and code that does nothing.

For a canary one assert, drawn in each run, is made false: its expected literal is changed, or the
variable that holds the expected value, before the program is called. What cannot be changed there
is changed where the sides are compared.
"""

import _ast as ast

from gristmill.engines.sandbox.canary import pick
from gristmill.engines.sandbox.trees import FUNCTIONS, PREFIX, at, call, literal, statement, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gristmill.engines.sandbox.trees import Nodes

    Shift = Callable[[Any], Any]

SCOPES = (
    *FUNCTIONS,
    ast.Lambda,
    ast.ClassDef,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)
CLOSE = {"isclose", "allclose", "approx", "assertAlmostEqual"}


class Asserts:
    """The asserts of a text, and what is done about them, by the ids of its nodes."""

    def __init__(self, nodes: "Nodes", shift: "Shift | None") -> None:
        """Follow every assert by a call that counts it; `shift` makes one of them false."""
        self.nodes, self.shift = nodes, shift
        self.all = sorted(
            (node for node in nodes.of(ast.Assert) if not never_true(node)),
            key=lambda node: (node.lineno, node.col_offset),
        )
        self.lines = {
            id(node): [node, statement(call(PREFIX + "check__", node, i))]
            for i, node in enumerate(self.all)
        }
        """What stands in the place of a statement."""
        self.leads: dict[int, str] = {}
        """What an expression goes through."""
        if self.all:
            self.lead()

    def lead(self) -> None:
        """Lead one assert that allows it through what a canary run makes false."""
        equalities = [node for node in self.all if is_equality(node.test)]
        if equalities:
            self.lead_comparison(equalities[pick(len(equalities))])
            return
        for node in reversed(self.all):
            for part in walk(node.test):
                if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Sub):
                    self.leads[id(part.right)] = "near"
                    return
                if isinstance(part, ast.Call) and called(part) in CLOSE and len(part.args) > 1:
                    self.leads[id(part.args[1])] = "near"
                    return
        self.leads[id(self.all[-1].test)] = "hold"

    def lead_comparison(self, node: "Any") -> None:
        """Change the expected side before the other is evaluated, else compare in the driver."""
        test = node.test
        sides = [test.left, test.comparators[0]]
        for i, side in enumerate(sides):
            if is_literal(side) and not is_literal(sides[1 - i]):
                sides[i] = another(side, self.shift) if self.shift else side
                test.left, test.comparators[0] = sides
                return
        local = names_of(self.scope_of(node))
        for side, other in (sides, sides[::-1]):
            parts = walk(other)
            calls = any(isinstance(part, ast.Call) for part in parts)
            used = {part.id for part in parts if isinstance(part, ast.Name)}
            if calls and isinstance(side, ast.Name) and side.id in local - used:
                value = call(PREFIX + "near__", node, at(ast.Name(side.id, ast.Load()), node))
                target = at(ast.Name(side.id, ast.Store()), node)
                self.lines[id(node)].insert(0, at(ast.Assign([target], value), node))
                return
        self.leads[id(test)] = "equal"

    def scope_of(self, node: "Any") -> "Any":
        """Return the innermost function around a statement, or the module."""
        functions = self.nodes.of(*FUNCTIONS)
        around = [f for f in functions if f.lineno <= node.lineno <= f.end_lineno]
        return max(around, key=lambda f: f.lineno, default=self.nodes.all[0])


def never_true(node: "ast.Assert") -> bool:
    """Say whether an assert marks a line that must not be reached."""
    return isinstance(node.test, ast.Constant) and not node.test.value


def is_equality(test: "Any") -> bool:
    """Say whether a condition is one `==`."""
    return isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)


def is_literal(node: "Any") -> bool:
    """Say whether `literal` can read it."""
    try:
        literal(node)
    except ValueError:
        return False
    return True


def another(node: "Any", shift: "Shift") -> "Any":
    """Return a literal of the same kind that means something else."""
    before = literal(node)
    while literal(node) == before:  # a key may be written twice, a set grow smaller
        node = changed(node, shift)
    return node


def changed(node: "Any", shift: "Shift") -> "Any":
    """Change one constant of a literal, or add one to an empty one."""
    parts = node.values if isinstance(node, ast.Dict) else getattr(node, "elts", None)
    if parts:
        i = pick(len(parts))
        parts[i] = changed(parts[i], shift)
        return node
    if parts is not None:
        parts.append(at(ast.Constant(0), node))
        if isinstance(node, ast.Dict):
            node.keys.append(at(ast.Constant(0), node))
        return node
    return at(ast.Constant(shift(literal(node))), node)


def names_of(scope: "Any") -> set[str]:
    """Return the names that may be bound again in a scope without changing its meaning."""
    shared: set[str] = set()
    parts = walk(scope)
    found = {part.arg for part in parts if isinstance(part, ast.arg)}
    for node in parts:
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            shared.update(node.names)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    inner = [n for n in parts if isinstance(n, SCOPES) and n is not scope]
    # A function or comprehension inside may have bound it instead: then better leave it alone.
    hidden = {
        getattr(n, "id", getattr(n, "arg", ""))
        for function in inner
        for n in walk(function)
        if isinstance(n, ast.arg) or (isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    }
    return found - shared - hidden


def called(node: "ast.Call") -> str:
    """Return the last part of what a call names."""
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def empty(block: "list[Any]") -> "list[Any]":
    """Return the code with functions that return None, and classes with nothing but those."""
    if not any(isinstance(node, (*FUNCTIONS, ast.ClassDef)) for node in block):
        return []
    for node in block:
        if isinstance(node, FUNCTIONS):
            node.body = [at(ast.Pass(), node)]
            node.decorator_list = []
        elif isinstance(node, ast.ClassDef):
            methods = [part for part in node.body if isinstance(part, FUNCTIONS)]
            node.body = empty(methods) or [at(ast.Pass(), node)]
            node.bases, node.keywords, node.decorator_list = [], [], []
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            node.value.body = at(ast.Constant(None), node)
    return block
