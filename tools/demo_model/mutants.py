"""Small mistakes in solutions of composed tasks, and what a test says of them."""

from __future__ import annotations

import ast
import random
import re

from demo_model.tasks import Task

PLACES = re.compile(r" (?:>=|<=|==|!=|>|<|\+|-|\*) |\b\d+\b")
SWAPS = {
    ">": "<",
    "<": ">",
    ">=": "<",
    "<=": ">",
    "==": "!=",
    "!=": "==",
    "+": "-",
    "-": "+",
    "*": "+",
}


def mutant(rng: random.Random, task: Task) -> tuple[str, dict[str, object]] | None:
    """Return code with one mistake and the values of its calls; None where none shows.

    Code with a `while` stays as it is: with a mistake in it, it may never end.
    """
    places = [] if "while " in task.code else list(PLACES.finditer(task.code))
    for place in rng.sample(places, len(places)):
        text = place.group()
        new = str(int(text) + 1) if text.isdigit() else f" {SWAPS[text.strip()]} "
        code = task.code[: place.start()] + new + task.code[place.end() :]
        space: dict[str, object] = {}
        try:
            exec(code, space)
            values = {call: eval(call, space) for call, _ in task.tried}
        except (ValueError, IndexError, TypeError, ZeroDivisionError):
            continue
        if any(repr(values[call]) != repr(value) for call, value in task.tried):
            return code, values
    return None


def documented(code: str, text: str) -> str:
    """Return code whose last function begins with a docstring."""
    lines = code.split("\n")
    at = ast.parse(code).body[-1].lineno
    return "\n".join(
        [*lines[:at], *(f"    {line}".rstrip() for line in text.split("\n")), *lines[at:]]
    )
