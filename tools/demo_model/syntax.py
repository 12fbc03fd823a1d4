"""What two programs have in common when names and comments do not count; concepts of code."""

from __future__ import annotations

import ast
from hashlib import blake2b

HELD_OUT_RATE = 0.5


class _Renamed(ast.NodeTransformer):
    """Number the names that the program itself gives, in order of appearance."""

    def __init__(self, own: set[str]) -> None:
        self.own, self.numbers = own, dict[str, str]()

    def _name(self, name: str) -> str:
        return self.numbers.setdefault(name, f"v{len(self.numbers)}") if name in self.own else name

    def visit(self, node: ast.AST) -> ast.AST:
        for field in ("name", "id", "arg", "attr"):
            if isinstance(value := getattr(node, field, None), str):
                setattr(node, field, self._name(value))
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)
        ):
            first = body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = body[1:] or [ast.Pass()]
            if isinstance(node, ast.FunctionDef):
                node.returns = None
                for argument in node.args.args:
                    argument.annotation = None
        return super().generic_visit(node)


def normalised(code: str, *, constants: bool = True) -> str:
    """Return the syntax tree of a program as text, without names, docstrings and annotations."""
    tree = ast.parse(code)
    if not constants:
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant):
                node.value = type(node.value).__name__
    own: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            own.add(node.name)
        elif isinstance(node, ast.arg):
            own.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        ):
            own.add(node.attr)
    return ast.dump(_Renamed(own - {"__init__"}).visit(tree))


def tree_hash(code: str, *, constants: bool = True) -> str:
    """Return 12 hex digits naming a program's normalised syntax tree."""
    return blake2b(normalised(code, constants=constants).encode(), digest_size=6).hexdigest()


def is_held_out(tree: str) -> bool:
    """Say whether a program must not occur in the training corpus: a fixed half of all."""
    return int(tree[:4], 16) < HELD_OUT_RATE * 0x10000


def concepts_of(code: str) -> list[str]:
    """Return the programming concepts that a syntax tree shows, in a fixed order."""
    tree = ast.parse(code)
    nodes = list(ast.walk(tree))
    calls = {_called(node) for node in nodes if isinstance(node, ast.Call)}
    found = [name for name, kinds in KINDS.items() if any(isinstance(n, kinds) for n in nodes)]
    found += [name for name, names in CALLS.items() if calls & names]
    strings = sum(isinstance(n, ast.Constant) and isinstance(n.value, str) for n in nodes)
    if strings > 2 or calls & STRINGS:
        found.append("string manipulation")
    return found


def _called(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


STRINGS = {
    "join",
    "split",
    "replace",
    "strip",
    "startswith",
    "endswith",
    "upper",
    "lower",
    "format",
    "find",
}
STRINGS |= {
    "capitalize",
    "swapcase",
    "isupper",
    "islower",
    "isdigit",
    "rjust",
    "ljust",
    "partition",
    "count",
}
KINDS: dict[str, type | tuple[type, ...]] = {
    "classes": ast.ClassDef,
    "state": ast.AugAssign,
    "loops": (ast.For, ast.While),
    "conditionals": (ast.If, ast.IfExp),
    "list comprehensions": ast.ListComp,
    "generators": (ast.GeneratorExp, ast.Yield),
    "dictionaries": (ast.Dict, ast.DictComp),
    "comparison": ast.Compare,
    "boolean logic": ast.BoolOp,
    "arithmetic": (ast.Add, ast.Sub, ast.Mult),
    "modular arithmetic": (ast.Mod, ast.FloorDiv),
    "slicing": ast.Slice,
    "tuples": ast.Tuple,
    "exception handling": (ast.Try, ast.Raise),
    "lambda functions": ast.Lambda,
    "string formatting": ast.JoinedStr,
}
CALLS = {
    "sorting": {"sorted", "sort"},
    "aggregation": {"sum", "max", "min", "len", "any", "all"},
    "sets": {"set", "frozenset", "add"},
    "type conversion": {"int", "str", "float", "tuple", "list", "dict"},
    "iteration helpers": {"enumerate", "zip", "range", "next", "iter"},
    "type checking": {"isinstance", "hasattr", "getattr", "type"},
    "dictionary methods": {"items", "get", "setdefault", "keys", "values"},
    "list methods": {"append", "pop", "insert", "extend", "remove"},
    "parsing": {"split", "partition", "match", "search"},
}
