"""Inside the sandbox: tests that count their asserts, and code that does nothing.

For a canary one assert, drawn in each run, is made false: its expected literal is changed, or the
variable that holds the expected value, before the program is called. What cannot be changed there
is changed where the sides are compared.
"""

import _ast as ast

from gristmill.engines.sandbox.canary import pick
from gristmill.engines.sandbox.trees import FUNCTIONS, PREFIX, call, literal, place, statement, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Shift = Callable[[Any], Any]
    Blocks = dict[int, list[Any]]

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


def to_asserts(tree: "ast.Module", shift: "Shift | None") -> int:
    """Follow every assert by a call that counts it; `shift` makes one of them false."""
    asserts = sorted(
        (n for n in walk(tree) if isinstance(n, ast.Assert) and not never_true(n)),
        key=lambda node: (node.lineno, node.col_offset),
    )
    around: Blocks = {}
    for i, node in enumerate(asserts):
        around[id(node)] = [node, statement(call(PREFIX + "check__", i), node)]
    if asserts:
        lead(tree, asserts, around, shift)
    for node in walk(tree):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                block[:] = [line for item in block for line in around.get(id(item), [item])]
    return len(asserts)


def never_true(node: "ast.Assert") -> bool:
    """Say whether an assert marks a line that must not be reached."""
    return isinstance(node.test, ast.Constant) and not node.test.value


def lead(
    tree: "ast.Module", asserts: "list[ast.Assert]", around: "Blocks", shift: "Shift | None"
) -> None:
    """Lead one assert that allows it through what a canary run makes false."""
    equalities = [node for node in asserts if is_equality(node.test)]
    if equalities:
        lead_comparison(tree, equalities[pick(len(equalities))], around, shift)
        return
    for node in reversed(asserts):
        for part in walk(node.test):
            if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Sub):
                part.right = place(call(PREFIX + "near__", part.right), node)
                return
            if isinstance(part, ast.Call) and called(part) in CLOSE and len(part.args) > 1:
                part.args[1] = place(call(PREFIX + "near__", part.args[1]), node)
                return
    asserts[-1].test = place(call(PREFIX + "hold__", asserts[-1].test), asserts[-1])


def is_equality(test: "Any") -> bool:
    """Say whether a condition is one `==`."""
    return isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)


def lead_comparison(
    tree: "ast.Module", node: "ast.Assert", around: "Blocks", shift: "Shift | None"
) -> None:
    """Change the expected side before the other is evaluated, else compare in the driver."""
    test: Any = node.test
    sides = [test.left, test.comparators[0]]
    for i, side in enumerate(sides):
        if is_literal(side) and not is_literal(sides[1 - i]):
            sides[i] = place(another(side, shift), node) if shift else side
            test.left, test.comparators[0] = sides
            return
    local = names_of(scope_of(tree, node))
    for side, other in (sides, sides[::-1]):
        calls = any(isinstance(part, ast.Call) for part in walk(other))
        used = {part.id for part in walk(other) if isinstance(part, ast.Name)}
        if calls and isinstance(side, ast.Name) and side.id in local - used:
            value = call(PREFIX + "near__", ast.Name(side.id, ast.Load()))
            line = ast.Assign([ast.Name(side.id, ast.Store())], value)
            around[id(node)].insert(0, place(line, node))
            return
    node.test = place(call(PREFIX + "equal__", *sides), node)


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
        parts.append(ast.Constant(0))
        if isinstance(node, ast.Dict):
            node.keys.append(ast.Constant(0))
        return node
    return ast.Constant(shift(literal(node)))


def scope_of(tree: "ast.Module", node: "Any") -> "Any":
    """Return the innermost function around a statement, or the module."""
    around = [f for f in walk(tree) if isinstance(f, FUNCTIONS) and any(n is node for n in walk(f))]
    return max(around, key=lambda f: f.lineno, default=tree)


def names_of(scope: "Any") -> set[str]:
    """Return the names that may be bound again in a scope without changing its meaning."""
    shared: set[str] = set()
    found = {arg.arg for arg in walk(scope) if isinstance(arg, ast.arg)}
    for node in walk(scope):
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            shared.update(node.names)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    inner = [n for n in walk(scope) if isinstance(n, SCOPES) and n is not scope]
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
            node.body = [place(ast.Pass(), node)]
            node.decorator_list = []
        elif isinstance(node, ast.ClassDef):
            methods = [part for part in node.body if isinstance(part, FUNCTIONS)]
            node.body = empty(methods) or [place(ast.Pass(), node)]
            node.bases, node.keywords, node.decorator_list = [], [], []
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            node.value.body = place(ast.Constant(None), node)
    return block
