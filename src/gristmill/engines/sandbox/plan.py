"""Inside the sandbox, in a child that runs nothing: read code and tests, and plan the checks.

Expected values go out to the reader; the program's process gets compiled code without them.
Mode `values`: every assert of the tests is `call == literal` or alike, so only calls remain.
Mode `asserts`: every assert says whether it held, some of them turned round.
Mode `calls`: the calls are the tests, and nothing is expected.
Mode `cells`: nothing is parsed here, nothing is expected; each cell is compiled where it runs.
Mode `stdio`: no tests; the code runs as a script, and only what it prints counts.
"""

import _ast as ast
import builtins
import warnings

from gristmill.engines.sandbox.asserts import empty
from gristmill.engines.sandbox.outside import Tests, is_call_of
from gristmill.engines.sandbox.trees import (
    FUNCTIONS,
    NOWHERE,
    ONLY_TREE,
    PREFIX,
    Code,
    Nodes,
    at,
    call,
    literal,
    meant,
    replace,
    statement,
    walk,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Encode = Callable[..., str]
    Check = tuple[bool, str]

BUILTINS = frozenset(name for name in dir(builtins) if name[0] != "_") - {"super"}
"""The compiler looks for `super` by its name."""


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
    code = Code(job["code"], attempt(job["code"], "code", emit, quote))
    tests = attempt(job["tests"], "tests", emit, quote, ONLY_TREE) if code.compiled else None
    if tests is not None and "TestCase" in job["tests"]:
        from gristmill.engines.sandbox.suites import flatten

        tests = flatten(tests) or attempt(job["tests"], "tests", emit, quote, ONLY_TREE)
    if tests is None:
        return None
    plan, expected, package = choose(job, code, tests, encode)
    if job["stub"]:
        code.change().body = empty(code.tree.body)
    counted = mutated(code, job["mutant"]) if job["mutates"] else []
    package["code"] = attempt(code.tree, "code", emit, quote) if code.is_changed else code.compiled
    package["tests"] = attempt(tests, "tests", emit, quote) if package["code"] else None
    if package["tests"] is None:
        return None
    emit('"plan"', *plan, "[" + ",".join(expected) + "]", *counted)
    return package


def mutated(code: Code, mutant: "int | None") -> list[str]:
    """Make the mutant that is asked for; return the number of those that could be made."""
    from gristmill.engines.sandbox.mutants import mutate, places

    if mutant is None:
        return [str(len(places(code.tree)))]
    mutate(code.change(), mutant)
    return []


def choose(
    job: "dict[str, Any]", code: Code, tests: "ast.Module", encode: "Encode"
) -> "tuple[list[str], list[str], dict[str, Any]]":
    """Rewrite the tests for their mode; return the plan, what is expected, what they need."""
    needs: dict[str, Any] = {"script": job["mode"] == "stdio", "builtins": []}
    if job["mode"] == "stdio":
        return ['"stdio"', "1", "false"], [], needs
    cut_guard(code, only_with_input=not job["has_stdin"] and not job["stub"])
    if job["mode"] == "calls":
        tests.body[:] = [attempt_call(i, text) for i, text in enumerate(job["calls"])]
        return ['"calls"', str(len(job["calls"])), "false"], [], needs
    call_tests(tests)
    nodes = Nodes(tests)
    own = nodes.bound() | imported(nodes)
    needs["builtins"] = settle(nodes, own, code)
    found = None if job["mode"] == "asserts" else to_values(nodes, own, code, encode)
    if found is None:
        from gristmill.engines.sandbox.guards import arm

        reports, more = arm(nodes, code.compiled, job["marks"])
        return ['"asserts"', str(len(reports)), "false"], reports, needs | more
    strong = any(proves(*check) for check in found)
    plan = ['"values"', str(len(found)), "true" if strong else "false"]
    return plan, [text for _, text in found], needs


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
        made = at(ast.Lambda(no_arguments, expression), expression)
        compile(ast.Expression(made), "calls.py", "eval", 0, True)
    except BaseException:  # noqa: BLE001 - a hostile text may do anything to a parser
        made = None
    return statement(call(PREFIX + "attempt__", NOWHERE, i, made))


def cut_guard(code: Code, *, only_with_input: bool) -> None:
    """Run the code as an import does: always in a stub, else when it asks for input."""
    if not code.may_say("__name__") or (only_with_input and not code.may_say("input")):
        return
    names = [node.id for node in walk(code.tree) if isinstance(node, ast.Name)]
    if only_with_input and "input" not in names:
        return
    if any(map(guards, code.tree.body)):
        tree = code.change()
        lines = [node.orelse if guards(node) else [node] for node in tree.body]
        tree.body = [line for part in lines for line in part]


def guards(node: "Any") -> bool:
    """Say whether this is `if __name__ == "__main__"`."""
    test = getattr(node, "test", None)
    if not isinstance(node, ast.If) or not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return False
    sides = [test.left, test.comparators[0]]
    names = [side.id for side in sides if isinstance(side, ast.Name)]
    texts = [side.value for side in sides if isinstance(side, ast.Constant)]
    return isinstance(test.ops[0], ast.Eq) and (names, texts) == (["__name__"], ["__main__"])


def call_tests(tree: "ast.Module") -> None:
    """Call `test_*` functions that nothing calls, as pytest would."""
    tests = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test")]
    used = {node.id for node in walk(tree) if type(node) is ast.Name} if tests else ()
    for node in tests:
        args = node.args
        needed = len(args.posonlyargs) + len(args.args) - len(args.defaults)
        if node.name not in used and not needed:
            tree.body.append(statement(call(node.name, node)))


def functions(tree: "ast.Module") -> set[str]:
    """Return the names that the code itself defines as functions."""
    named = {n.name for n in tree.body if isinstance(n, FUNCTIONS)}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            named |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return named


def imported(nodes: Nodes) -> set[str]:
    """Return every name that an import of the tests gives a value."""
    imports = nodes.of(ast.Import, ast.ImportFrom)
    return {(a.asname or a.name).split(".")[0] for node in imports for a in node.names}


def settle(nodes: Nodes, own: set[str], code: Code) -> list[str]:
    """Let builtin names of the tests mean the interpreter's own; return those that they use.

    What the tests give a value themselves is their own. A name that the code gives a function is
    left to it where the tests ask for nothing else of the code: then it is what they test. Nor can
    anything be said of names beside a star import.
    """
    if "*" in own:
        return []
    used = [node for node in nodes.loaded() if node.id not in own]
    names = {node.id for node in used} & BUILTINS
    if not names.isdisjoint(code.compiled.co_names):  # where a function's name would be
        tested = names & functions(code.tree)
        if len(tested) == 1 and not any(node.id not in dir(builtins) for node in used):
            names -= tested
    for node, parent in nodes.pairs() if names else ():
        if type(node) is ast.Name and type(node.ctx) is ast.Load and node.id in names:
            node.id = PREFIX + node.id + "__"
            replace(parent, {id(node): [meant(node, parent, node)]})
    return sorted(names)


def to_values(nodes: Nodes, named: set[str], code: Code, encode: "Encode") -> "list[Check] | None":
    """Replace asserts by calls; return (is a direct call, expected) each, or None."""
    tree = nodes.all[0]
    asserts = [node for node in tree.body if isinstance(node, ast.Assert)]
    if not asserts or len(asserts) < len(nodes.of(ast.Assert)) or "*" in named:
        return None
    own = functions(code.tree) - named
    given = {node.id for node in nodes.loaded() if not node.id.startswith(PREFIX)} - named
    tests = Tests(given, {n.name for n in code.tree.body if isinstance(n, ast.ClassDef)} & given)
    checks: list[Check] = []
    body = []
    for node in tree.body:
        if isinstance(node, ast.Assert):
            found = convert(node.test, own, tests, encode)
            if found is None:
                return None
            expression, direct, text = found
            body.append(statement(call(PREFIX + "value__", node, len(checks), expression)))
            checks.append((direct, text))
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            if not tests.take(node):
                return None
            body.append(node)
    tree.body[:] = body
    return checks


def convert(
    test: "Any", own: set[str], tests: Tests, encode: "Encode"
) -> "tuple[Any, bool, str] | None":
    """Split one condition into a call and what it must give; None when that cannot be done."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        asked = test.operand
        return (asked, True, '["T",0]') if is_call(asked, own, tests) else None
    if is_call(test, own, tests):
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
        direct = is_call(expression, own, tests)
        # True, False and None can be guessed by a patched builtin, other values cannot.
        guessable = value is None or type(value) is bool
        if isinstance(test.ops[0], ast.Is) and not guessable:
            return None
        if (guessable and not direct) or not tests.is_result(expression):
            return None
        return expression, direct, encode(value)
    return None


def is_call(node: "Any", own: set[str], tests: Tests) -> bool:
    """Say whether this is a plain call of a function that the code defines."""
    return is_call_of(node, own) and tests.are_inputs(node)


def proves(direct: bool, text: str) -> bool:
    """Say whether a check fails for a function that returns None."""
    return direct and text not in ('["n"]', '["T",0]')
