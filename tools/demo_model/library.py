"""Functions of the standard library that call packages, and what they return for simple inputs."""

from __future__ import annotations

import ast
from functools import cache
from itertools import product

from demo_model.syntax import is_held_out, tree_hash
from gristmill.engines.sandbox import Program, Sandbox
from gristmill.formats.python_functions import functions_of
from gristmill.text import package_calls

MAX_CODE, MAX_TEST, ENOUGH = 900, 80, 4
"""Characters of a function with all it uses, and of a test; how many tests a document needs."""
VALUES = (
    "''", "'abc'", "'a b'", "'a-b'", "'a,b'", "'ab:80'", "'a/b'", "'A'", "'7'",
    "0", "1", "3", "7", "[]", "[1]", "[3, 1]", "[1, 2, 2]", "['a', 'b']", "{}", "(1, 2)", "b'a'",
)  # fmt: skip
TRY = """

def _tried_(calls):
    found = []
    for call in calls:
        try:
            found.append(repr(eval(call)))
        except Exception:
            found.append('')
    return found
"""


@cache
def tested() -> list[tuple[str, list[str], str]]:
    """Return functions that are not held out, each with asserts that hold, and its tree hash.

    The sandbox runs them; a value is taken if it is a literal and says more than None.
    """
    parts, _, _ = functions_of(["stdlib"])
    codes = {row["code"]: row["name"] for part in parts for row in part.rows}
    chosen = {
        code: [f"{name}({', '.join(given)})" for given in _inputs(code)]
        for code, name in sorted(codes.items())
        if len(code) < MAX_CODE
        and code.isascii()
        and package_calls.used(code)["apis"]
        and not is_held_out(tree_hash(code))
    }
    with Sandbox(2) as sandbox:
        ran = sandbox.run_all(
            [Program(code + TRY, calls=(f"_tried_({calls!r})",)) for code, calls in chosen.items()]
        )
    found = []
    for (code, calls), verdict in zip(chosen.items(), ran, strict=True):
        value = verdict.values[0] if verdict.values else None
        shown = [text for _, text in value[1:]] if value else []
        lines = [
            f"assert {call} == {value}"
            for call, value in zip(calls, shown, strict=False)
            if _is_told(value)
        ]
        short = [line for line in lines if len(line) <= MAX_TEST]
        if len(short) >= ENOUGH:
            found.append((code.strip(), short, tree_hash(code)))
    return found


def _inputs(code: str) -> list[tuple[str, ...]]:
    """Return arguments to try on the last function, by how many it must have."""
    arguments = ast.parse(code).body[-1].args  # type: ignore[attr-defined]
    n = len(arguments.args) - len(arguments.defaults)
    return list(product(VALUES, repeat=n)) if n in (1, 2) else []


def _is_told(text: str) -> bool:
    try:
        return ast.literal_eval(text) is not None
    except (ValueError, SyntaxError):
        return False
