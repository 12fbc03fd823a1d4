"""Inside the sandbox, in the parser: suites of `unittest` as plain classes whose methods assert.

A method such as `assertEqual` compares beside the program, which can replace it, and reports to
nobody. The same checks as asserts are guarded like all others, and nothing of `unittest` runs. A
suite that does anything else with it stays as it is.
"""

import _ast as ast

from gristmill.engines.sandbox.trees import ONLY_TREE, at, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EQUAL = ("", "List", "Tuple", "Set", "Dict", "MultiLine")
COMPARING: "dict[str, Any]" = {
    "assertNotEqual": ast.NotEq,
    "assertIs": ast.Is,
    "assertIsNot": ast.IsNot,
    "assertIn": ast.In,
    "assertNotIn": ast.NotIn,
    "assertGreater": ast.Gt,
    "assertGreaterEqual": ast.GtE,
    "assertLess": ast.Lt,
    "assertLessEqual": ast.LtE,
} | dict.fromkeys((f"assert{kind}Equal" for kind in EQUAL), ast.Eq)
NONE: "dict[str, Any]" = {"assertIsNone": ast.Is, "assertIsNotNone": ast.IsNot}
ITSELF = ("self", "cls")
DECORATORS = {"staticmethod", "classmethod"}
CASE = "__gm_case__"


def flatten(tree: "ast.Module") -> "ast.Module | None":
    """Turn every suite of a text into a class that is run; None without one, or for one with more.

    The tree is spoilt then.
    """
    suites: list[Any] = [node for node in tree.body if is_suite(node)]
    tree.body[:] = [line for line in tree.body if not starts(line)]
    names = {node.name for node in suites}
    if not names or any(type(n) is ast.Name and n.id in names for n in walk(tree)):
        return None
    for suite in suites:
        change(suite)
        if not is_plain(suite):
            return None
        tree.body += calls(suite)
    return tree


def is_suite(node: "Any") -> bool:
    """Say whether this is a class below `TestCase` alone."""
    if type(node) is not ast.ClassDef or node.keywords or node.decorator_list:
        return False
    return [getattr(base, "attr", getattr(base, "id", "")) for base in node.bases] == ["TestCase"]


def starts(line: "Any") -> bool:
    """Say whether a line of the module does nothing but run its suites."""
    if type(line) is ast.If and not line.orelse:
        return all(map(starts, line.body))
    called = getattr(getattr(line, "value", None), "func", None)
    module = getattr(getattr(called, "value", None), "id", "")
    return type(line) is ast.Expr and (module, getattr(called, "attr", "")) == ("unittest", "main")


def change(suite: "Any") -> None:
    """Put asserts into the place of checks, and let nothing be inherited."""
    suite.bases = []
    for part in walk(suite):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(part, field, None)
            if type(block) is list:
                block[:] = [converted(line) for line in block]


def converted(line: "Any") -> "Any":
    """Return what stands in the place of a statement, or that itself."""
    value = getattr(line, "value", None)
    if type(line) is ast.Expr and type(value) is ast.Call:
        if getattr(getattr(getattr(value.func, "value", None), "func", None), "id", "") == "super":
            return at(ast.Pass(), line)
        name = asked(value)
        if name == "assertRaises" and len(value.args) > 1:
            made = at(ast.Call(value.args[1], value.args[2:], value.keywords), line)
            return raising(value.args[0], [at(ast.Expr(made), line)], line)
        test = condition(name, value)
        return at(ast.Assert(test, None), line) if test else line
    if type(line) is ast.With and len(line.items) == 1 and not line.items[0].optional_vars:
        opened: Any = line.items[0].context_expr
        name = asked(opened)
        if name == "assertRaises" and len(opened.args) == 1:
            return raising(opened.args[0], line.body, line)
        if name == "subTest":
            return at(ast.If(at(ast.Constant(True), line), line.body, []), line)
    return line


def asked(node: "Any") -> str:
    """Return which method of its own object a call asks for, "" for another call."""
    called = getattr(node, "func", None)
    is_own = getattr(getattr(called, "value", None), "id", "") in ITSELF
    return str(getattr(called, "attr", "")) if is_own else ""


def raising(kind: "Any", body: "list[Any]", near: "Any") -> "Any":
    """Return a statement that fails unless its body raises an error of a kind."""
    missed = at(ast.Assert(at(ast.Constant(False), near), None), near)
    handler = at(ast.ExceptHandler(kind, None, [at(ast.Pass(), near)]), near)
    return at(ast.Try(body, [handler], [missed], []), near)


def condition(name: str, node: "Any") -> "Any":
    """Return what a check asks for, None where it is none of these."""
    words = {word.arg: word.value for word in node.keywords if word.arg != "msg"}
    args, kind = node.args, COMPARING.get(name) or NONE.get(name)
    if name == "fail":
        return at(ast.Constant(False), node)
    if not args or (words and name != "assertAlmostEqual"):
        return None
    if name in NONE:
        args = [args[0], at(ast.Constant(None), node)]
    if kind:
        return at(ast.Compare(args[0], [kind()], [args[1]]), node) if len(args) > 1 else None
    if name == "assertTrue":
        return args[0]
    if name == "assertFalse":
        return at(ast.UnaryOp(ast.Not(), args[0]), node)
    if name == "assertIsInstance" and len(args) > 1:
        return named("isinstance", node, *args[:2])
    return near_by(args, words, node) if name == "assertAlmostEqual" and len(args) > 1 else None


def near_by(args: "list[Any]", words: "dict[str, Any]", node: "Any") -> "Any":
    """Return the condition that two numbers differ by little: 7 places, unless it says else."""
    apart = named("abs", node, at(ast.BinOp(args[0], ast.Sub(), args[1]), node))
    if "delta" in words:
        return at(ast.Compare(apart, [ast.LtE()], [words["delta"]]), node)
    places = args[2] if len(args) > 2 else words.get("places", at(ast.Constant(7), node))
    rounded = named("round", node, apart, places)
    return at(ast.Compare(rounded, [ast.Eq()], [at(ast.Constant(0), node)]), node)


def named(name: str, near: "Any", *args: "Any") -> "Any":
    """Return a call of a builtin."""
    return at(ast.Call(at(ast.Name(name, ast.Load()), near), list(args), []), near)


def is_plain(suite: "Any") -> bool:
    """Say whether a suite that was changed asks nothing more of `unittest`."""
    nodes = walk(suite)
    methods = [part for part in suite.body if type(part) is ast.FunctionDef]
    asks = [node for node in nodes if type(node) is ast.Attribute and owner(node) in ITSELF]
    own = {part.name for part in methods if not part.name.startswith("test")} | {"maxDiff"}
    own |= {node.attr for node in asks if type(node.ctx) is ast.Store}
    own |= {
        t.id for part in suite.body for t in getattr(part, "targets", ()) if type(t) is ast.Name
    }
    bare = sum(type(node) is ast.Name and node.id in (*ITSELF, "super") for node in nodes)
    return (
        bare == len(asks)
        and all(node.attr in own and not node.attr.startswith("__") for node in asks)
        and all(map(is_usual, methods))
        and not any(type(part) is ast.AsyncFunctionDef for part in suite.body)
    )


def owner(node: "Any") -> str:
    """Return the name whose attribute this is, if it is one."""
    return str(getattr(node.value, "id", ""))


def is_usual(method: "Any") -> bool:
    """Say whether a method takes its object by its usual name, under no unusual decorator."""
    allowed = set() if method.name.startswith("test") else DECORATORS
    decorators = {getattr(each, "id", "?") for each in method.decorator_list}
    first = [arg.arg for arg in method.args.args[:1]]
    return decorators <= allowed and ("staticmethod" in decorators or {*first} <= {*ITSELF})


def calls(suite: "Any") -> "list[Any]":
    """Return its methods as functions, and what runs each test on an object of its own, by name."""
    methods = {part.name: part for part in suite.body if type(part) is ast.FunctionDef}
    moved = movable(suite, methods)
    kept = [part for part in suite.body if part not in moved.values()]
    for node in walk(suite):
        if type(node) is ast.Call and (name := asked(node)) in moved:
            itself: Any = node.func
            node.args.insert(0, itself.value)
            node.func = at(ast.Name(f"test_{suite.name}_{name}", ast.Load()), node)
    suite.body[:] = kept or [at(ast.Pass(), suite)]
    for name, part in moved.items():
        part.name = f"test_{suite.name}_{name}"

    def one(name: str, of: str) -> list[str]:
        if name in moved:
            return [f"test_{suite.name}_{name}({of})"]
        return [f"{of}.{name}()"] if name in methods else []

    lines = one("setUpClass", suite.name)
    for test in sorted(name for name in methods if name.startswith("test")):
        lines += [f"{CASE} = {suite.name}()"]
        lines += [line for name in ("setUp", test, "tearDown") for line in one(name, CASE)]
    lines += one("tearDownClass", suite.name)
    tree: Any = compile("\n".join(lines), "tests.py", "exec", ONLY_TREE, True)
    return [*moved.values(), *tree.body]


def movable(suite: "Any", methods: "dict[str, Any]") -> "dict[str, Any]":
    """Return the methods that are only called, as those of `self`, and have no decorator."""
    nodes = walk(suite)
    called = {id(node.func) for node in nodes if type(node) is ast.Call}
    asks = [node for node in nodes if type(node) is ast.Attribute and owner(node) in ITSELF]
    other = {node.attr for node in asks if id(node) not in called}
    lines = [part for part in suite.body if type(part) is not ast.FunctionDef]
    other |= {getattr(node, "id", "") for line in lines for node in walk(line)}
    return {n: m for n, m in methods.items() if not m.decorator_list and n not in other}
