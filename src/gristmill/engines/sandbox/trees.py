"""Inside the sandbox: syntax trees, without the `ast` module and what its import costs."""

import _ast as ast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
PREFIX = "__gm_"
ONLY_TREE = 0x400
TEXTS = {"id", "attr", "ctx", "op", "ops", "arg", "kind", "type_comment", "lineno", "level"}
"""Fields that hold no node, or one without parts that nobody asks for by itself."""
FIELDS: "dict[Any, tuple[str, ...]]" = {
    kind: tuple(name for name in kind._fields if name not in TEXTS)
    for kind in vars(ast).values()
    if type(kind) is type and issubclass(kind, ast.AST)
}
FIELDS |= dict.fromkeys((ast.Constant, ast.Global, ast.Nonlocal), ())
NAMED = (*FUNCTIONS, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
NOWHERE = ast.Pass(lineno=1, col_offset=0, end_lineno=1, end_col_offset=0)


def walk(node: "Any", above: "list[Any] | None" = None) -> "list[Any]":
    """Return a node and everything under it but operators; `above` gets what each is part of."""
    found, kinds = [node], FIELDS
    for node in found:  # grows while it is read
        for field in kinds[type(node)]:
            child = getattr(node, field, None)
            if type(child) is list:
                found += [item for item in child if type(item) in kinds]
            elif type(child) in kinds:
                found.append(child)
        if above is not None:
            above += [node] * (len(found) - len(above) - 1)
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


def at(node: "Any", near: "Any") -> "Any":
    """Return a new node with the place of another."""
    node.lineno, node.col_offset = near.lineno, near.col_offset
    node.end_lineno, node.end_col_offset = near.end_lineno, near.end_col_offset
    return node


def call(name: str, near: "Any", *args: "Any") -> "Any":
    """Return a call at the place of `near`; what is no node becomes a constant.

    So does what of the harness is called: the launcher puts it in the place of its name.
    """
    nodes: list[Any] = [
        arg if isinstance(arg, ast.AST) else at(ast.Constant(arg), near) for arg in args
    ]
    own = name.startswith(PREFIX)
    called = ast.Constant(name) if own else ast.Name(name, ast.Load())
    return at(ast.Call(at(called, near), nodes, []), near)


def meant(name: "Any", parent: "Any", node: "Any") -> "Any":
    """Return what to write for a name of the harness that stands in the place of a node.

    Only what is called may be a constant: of others the compiler would compute the value.
    """
    if type(parent) is ast.Call and parent.func is node:
        return at(ast.Constant(name.id), node)
    return call(f"{PREFIX}take__", node, name.id)


def replace(node: "Any", changed: "dict[int, list[Any]]") -> None:
    """Put what stands instead of them into the place of parts of a node."""
    for field in FIELDS[type(node)]:
        child = getattr(node, field, None)
        if type(child) is list:
            child[:] = [new for item in child for new in changed.get(id(item), (item,))]
        elif id(child) in changed:
            setattr(node, field, changed[id(child)][0])


def statement(expression: "Any") -> "Any":
    """Return an expression as a statement of its line."""
    return at(ast.Expr(expression), expression)


class Nodes:
    """All of a text, in order: what something is part of comes before it. Made once per text."""

    def __init__(self, tree: "ast.Module") -> None:
        self.above: list[Any] = []
        """What each node but the first is part of."""
        self.all = walk(tree, self.above)
        self.kinds: dict[Any, list[Any]] = {}
        for node in self.all:
            self.kinds.setdefault(type(node), []).append(node)

    def pairs(self) -> "list[tuple[Any, Any]]":
        """Return every node with what it is part of."""
        return list(zip(self.all, [None, *self.above], strict=True))

    def of(self, *kinds: "Any") -> "list[Any]":
        """Return the nodes of some kinds."""
        return [node for kind in kinds for node in self.kinds.get(kind, ())]

    def loaded(self) -> "list[Any]":
        """Return the names that are read."""
        return [node for node in self.of(ast.Name) if type(node.ctx) is ast.Load]

    def bound(self, beside: "set[int] | frozenset[int]" = frozenset()) -> set[str]:
        """Return every name that is given a value, but by an import or by nodes of these ids."""
        names = {node.id for node in self.of(ast.Name) if type(node.ctx) is not ast.Load}
        names |= {node.arg for node in self.of(ast.arg)}
        names |= {node.name or "" for node in self.of(*NAMED) if id(node) not in beside}
        return names | {node.rest or "" for node in self.of(ast.MatchMapping)}


class Code:
    """The program: compiled as it was written, and its tree for those who look or change."""

    def __init__(self, text: str, compiled: "Any") -> None:
        self.text, self.compiled = text, compiled
        self.is_changed = False
        self.parsed: Any = None

    @property
    def tree(self) -> "Any":
        """The syntax tree of a text that could be compiled."""
        if self.parsed is None:
            self.parsed = compile(self.text, "code.py", "exec", ONLY_TREE, True)
        return self.parsed

    def change(self) -> "Any":
        """Return the tree; it is what will be compiled."""
        self.is_changed = True
        return self.tree

    def may_say(self, word: str) -> bool:
        """Say whether a name may occur; some letters beyond ASCII are read as others."""
        return word in self.text or not self.text.isascii()
