"""Inside the sandbox, in a child that runs nothing: read code and tests, and plan the checks.

Expected values go out to the reader; the program's process gets compiled code without them.
Mode `values`: every assert of the tests is `call == literal` or alike, so only calls remain.
Mode `asserts`: every assert is followed by a call that says that it held.
Mode `calls`: the calls are the tests, and nothing is expected.
Mode `cells`: nothing is parsed here, nothing is expected; each cell is compiled where it runs.
Mode `stdio`: no tests; the code runs as a script, and only what it prints counts.
"""

import _ast as ast
import builtins
import warnings

from gristmill.engines.sandbox.asserts import empty, to_asserts
from gristmill.engines.sandbox.canary import another
from gristmill.engines.sandbox.trees import (
    FUNCTIONS,
    PREFIX,
    call,
    level,
    literal,
    place,
    statement,
    walk,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Encode = Callable[..., str]
    Check = tuple[bool, str]

ONLY_TREE = 0x400
NAMED = (*FUNCTIONS, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
BUILTINS = frozenset(name for name in dir(builtins) if name[0] != "_") - {"super"}
"""The compiler looks for `super` by its name."""

COMPARING = {
    *("count", "index", "get", "setdefault", "pop", "remove", "discard", "__contains__", "__eq__"),
    *("union", "intersection", "difference", "symmetric_difference"),
    *("issubset", "issuperset", "isdisjoint"),
}
"""Methods of the built-in types that compare or look up what they are given."""


def prepare(
    job: "dict[str, Any]",
    emit: "Callable[..., None]",
    encode: "Encode",
    quote: "Encode",
) -> "dict[str, Any] | None":
    """Return `{"code", "tests"}` compiled, after sending the plan; None when a text is no code."""
    if job["mode"] == "cells":
        emit('"plan"', '"cells"', str(len(job["cells"])), "false", "[]")
        return {"cells": job["cells"]}
    warnings.simplefilter("ignore")  # they would be the parser's words in the program's output
    trees: dict[str, Any] = {}
    for name in ("code", "tests"):
        trees[name] = attempt(job[name], name, emit, quote, ONLY_TREE)
        if trees[name] is None:
            return None
    plan, expected, names = choose(job, trees["code"], trees["tests"], encode)
    # Nothing here may tell a canary run from the first: the program can read all of it.
    package: dict[str, Any] = {"script": job["mode"] == "stdio", "builtins": names}
    if plan[0] == '"asserts"':
        from gristmill.engines.sandbox.guards import arm

        package |= arm(trees["tests"], is_canary=job["canary"])
    if job["stub"]:
        trees["code"].body = empty(trees["code"].body)
    counted = change(trees["code"], job["mutant"]) if job["mutates"] else []
    for name, tree in trees.items():
        package[name] = attempt(tree, name, emit, quote)
        if package[name] is None:
            return None
    emit('"plan"', *plan, "[" + ",".join(expected) + "]", *counted)
    return package


def change(code: "ast.Module", mutant: "int | None") -> list[str]:
    """Make the mutant that is asked for; return the number of those that could be made."""
    from gristmill.engines.sandbox.mutants import mutate, places

    if mutant is None:
        return [str(len(places(code)))]
    mutate(code, mutant)
    return []


def choose(
    job: "dict[str, Any]",
    code: "ast.Module",
    tests: "ast.Module",
    encode: "Encode",
) -> "tuple[list[str], list[str], list[str]]":
    """Rewrite the tests for their mode; return the plan, what is expected, their builtins."""
    if job["mode"] == "stdio":
        return ['"stdio"', "1", "false"], [], []
    cut_guard(code, only_with_input=not job["has_stdin"] and not job["stub"])
    if job["mode"] == "calls":
        tests.body[:] = [attempt_call(i, text) for i, text in enumerate(job["calls"])]
        return ['"calls"', str(len(job["calls"])), "false"], [], []
    call_tests(tests)
    names = settle(tests, code)
    found = None if job["mode"] == "asserts" else to_values(tests, functions(code), encode)
    if found is None:
        n = to_asserts(tests, another if job["canary"] else None)
        return ['"asserts"', str(n), "false"], [], names
    strong = any(proves(*check) for check in found)
    plan = ['"values"', str(len(found)), "true" if strong else "false"]
    return plan, [text for _, text in found], names


def attempt(
    source: "Any", name: str, emit: "Callable[..., None]", quote: "Encode", flags: int = 0
) -> "Any":
    """Compile a text or a tree; say what is wrong with it and return None when that fails."""
    try:
        return compile(source, name + ".py", "exec", flags, True)
    except BaseException as error:  # noqa: BLE001 - a hostile text may do anything to a parser
        emit('"unparsable"', quote(name), quote(type(error).__name__ + ": " + str(error)[:500]))
        return None


def attempt_call(i: int, text: str) -> "Any":
    """Return a statement that evaluates one expression and sends its value, whatever it raises."""
    no_arguments = ast.arguments([], [], None, [], [], None, [])
    made: Any
    try:
        expression = compile(text.strip(), "calls.py", "eval", ONLY_TREE, True).body
        made = ast.Lambda(no_arguments, expression)
        compile(ast.Expression(place(made, expression)), "calls.py", "eval", 0, True)
    except BaseException:  # noqa: BLE001 - a hostile text may do anything to a parser
        made = ast.Constant(None)
    return statement(call(PREFIX + "attempt__", i, made), None)


def cut_guard(tree: "ast.Module", *, only_with_input: bool) -> None:
    """Drop the main guard and what follows it: always in a stub, else when it asks for input."""
    asks = any(isinstance(node, ast.Name) and node.id == "input" for node in walk(tree))
    if only_with_input and not asks:
        return
    for i, node in enumerate(tree.body):
        if isinstance(node, ast.If) and any(
            isinstance(part, ast.Name) and part.id == "__name__" for part in walk(node.test)
        ):
            del tree.body[i:]
            return


def call_tests(tree: "ast.Module") -> None:
    """Call `test_*` functions that nothing calls, as pytest would."""
    used = {n.id for n in walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    for node in list(tree.body):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            args = node.args
            needed = len(args.posonlyargs) + len(args.args) - len(args.defaults)
            if node.name not in used and not needed:
                tree.body.append(statement(call(node.name), node))


def functions(tree: "ast.Module") -> set[str]:
    """Return the names that the code itself defines as functions."""
    named = {n.name for n in tree.body if isinstance(n, FUNCTIONS)}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            named |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return named


def bound(tree: "ast.Module") -> set[str]:
    """Return every name that the tests give a value: it no longer means the code's function."""
    names = set()
    for node in walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, NAMED) and node.name:
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return names


def settle(tests: "ast.Module", code: "ast.Module") -> list[str]:
    """Let builtin names of the tests mean the interpreter's own; return those that they use.

    A name that the code gives a function is left to it where the tests ask for nothing else of the
    code: then it is what they test. Nor can anything be said of names beside a star import.
    """
    own = bound(tests)
    if "*" in own:
        return []
    used = [n for n in walk(tests) if isinstance(n, ast.Name) and n.id not in own]
    names = {node.id for node in used} & BUILTINS
    tested = names & functions(code)
    if len(tested) == 1 and not any(node.id not in dir(builtins) for node in used):
        names -= tested
    for node in used:
        if node.id in names:
            node.id = PREFIX + node.id + "__"
    return sorted(names)


def to_values(tree: "ast.Module", defined: set[str], encode: "Encode") -> "list[Check] | None":
    """Replace asserts by calls; return (is a direct call, expected) each, or None.

    No call says where it stood or what is asked of it: the place of `f(x)` in `assert not f(x)`
    would tell the answer.
    """
    named = bound(tree)
    own = set() if "*" in named else defined - named
    checks: list[Check] = []
    body = []
    for node in tree.body:
        if isinstance(node, ast.Assert):
            found = convert(node.test, own, encode)
            if found is None:
                return None
            expression, direct, text = found
            body.append(statement(call(PREFIX + "value__", len(checks), expression), node))
            checks.append((direct, text))
        elif any(isinstance(part, ast.Assert) for part in walk(node)):
            return None
        else:
            body.append(node)
    if not checks:
        return None
    tree.body[:] = body
    level(tree)
    return checks


def convert(test: "Any", own: set[str], encode: "Encode") -> "tuple[Any, bool, str] | None":
    """Split one condition into a call and what it must give; None when that cannot be done."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return (test.operand, True, '["T",0]') if is_call(test.operand, own) else None
    if is_call(test, own):
        return test, True, '["T",1]'
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return None
    if not isinstance(test.ops[0], (ast.Eq, ast.Is)):
        return None
    for expression, other in ((test.left, test.comparators[0]), (test.comparators[0], test.left)):
        try:
            value = literal(other)
        except ValueError:
            continue
        direct = is_call(expression, own)
        # True, False and None can be guessed by a patched builtin, other values cannot.
        guessable = value is None or type(value) is bool
        if isinstance(test.ops[0], ast.Is) and not guessable:
            return None
        if (guessable and not direct) or compares(expression):
            return None
        try:
            literal(expression)
        except ValueError:
            return expression, direct, encode(value)
    return None


def compares(expression: "Any") -> bool:
    """Say whether its value may depend on what the code's own objects say to a comparison.

    Such as `[1, 2].count(f(3))`: an object that is equal to everything would be counted twice.
    """
    return any(
        isinstance(node, (ast.Compare, ast.BoolOp))
        or (isinstance(node, ast.Attribute) and node.attr in COMPARING)
        for node in walk(expression)
    )


def is_call(node: "Any", own: set[str]) -> bool:
    """Say whether this is a plain call of a function that the code defines."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in own


def proves(direct: bool, text: str) -> bool:
    """Say whether a check fails for a function that returns None."""
    return direct and text not in ('["n"]', '["T",0]')
