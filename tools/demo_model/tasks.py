"""Composed tasks: an instruction, a solution, and tests whose values come from running it."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass
from typing import Any

from demo_model import classes, judging, packages, pipelines, singles
from demo_model.made import Made
from demo_model.pipelines import Family
from demo_model.syntax import is_held_out, tree_hash

PIPELINES = {**pipelines.FAMILIES, **judging.FAMILIES}
FUNCTIONS = {**PIPELINES, **singles.FAMILIES}
FAMILIES: dict[str, dict[str, Family]] = {
    "function": FUNCTIONS,
    "class": classes.FAMILIES,
    "program": judging.PROGRAMS,
    "package": packages.FAMILIES,
}
PIPELINE_RATE = 0.5
"""Share of the function tasks that are pipelines: they have the most parameters."""


@dataclass(frozen=True)
class Task:
    """One task, ready to be rendered."""

    family: str
    category: str
    difficulty: str
    instruction: str
    code: str
    say: str
    tests: str
    tree: str
    """Hash of the solution's normalised syntax tree."""
    tried: tuple[tuple[str, object], ...] = ()
    """Calls of a function, and the values that they gave."""
    does: str = ""
    """What the solution does, third person, no full stop."""

    @property
    def response(self) -> str:
        """The explanation and the solution."""
        return f"{self.say}.\n\n```python\n{self.code}\n```"


def compose(
    rng: random.Random,
    category: str | None = None,
    *,
    held_out: bool = False,
    easy: bool = False,
) -> Task:
    """Draw a task whose solution is (or is not) among those held out of the training.

    `easy` tests use the shortest of the inputs tried.
    """
    category = category or rng.choice(("function", "function", "class", "program"))
    while True:
        task = _draw(rng, category, easy)
        if task is not None and is_held_out(task.tree) == held_out:
            return task


def _draw(rng: random.Random, category: str, easy: bool) -> Task | None:
    families = FAMILIES[category]
    if category == "function":
        families = PIPELINES if rng.random() < PIPELINE_RATE else singles.FAMILIES
    family = rng.choice(sorted(families))
    made = families[family](rng)
    name, code = _code(rng, made)
    try:
        tried = _tried(made, name, code)
        tests = _tests(rng, tried, easy) if made.kind != "class" else _class_tests(made, name, code)
    except (ValueError, IndexError, TypeError, ZeroDivisionError):
        return None
    if tests is None:
        return None
    difficulty = ("easy", "medium", "hard")[min(max(made.steps, 1), 3) - 1]
    return Task(
        family,
        category,
        difficulty,
        _instruction(rng, made, name),
        code,
        made.say,
        tests,
        tree_hash(code),
        tried,
        made.does,
    )


def _code(rng: random.Random, made: Made) -> tuple[str, str]:
    if made.kind == "class":
        return made.stem, "\n".join(
            [f"class {made.stem}:", *(f"    {line}" if line else "" for line in made.body)]
        )
    name = made.stem
    if made.kind == "function" and rng.random() < 0.3:
        name = rng.choice(("solve", "compute", "transform", "apply", "f"))
    above = [*made.imports, "", ""] if made.imports else []
    return name, "\n".join(
        [*above, f"def {name}({', '.join(made.args)}):", *(f"    {line}" for line in made.body)]
    )


def _tried(made: Made, name: str, code: str) -> tuple[tuple[str, object], ...]:
    if made.kind == "class":
        return ()
    space: dict[str, Any] = {}
    exec(code, space)
    calls = (f"{name}({', '.join(map(repr, case))})" for case in made.cases)
    values = [space[name](*copy.deepcopy(case)) for case in made.cases]
    return tuple(zip(calls, values, strict=True))


def _tests(rng: random.Random, tried: tuple[tuple[str, object], ...], easy: bool) -> str | None:
    lines = [f"assert {call} == {value!r}" for call, value in tried]
    telling = [
        i for i, (_, value) in enumerate(tried) if value and value not in [v for _, v in tried[:i]]
    ]
    if not telling:
        return None
    if easy:
        by_length = sorted(range(len(lines)), key=lambda i: len(lines[i]))
        shortest = min(telling, key=lambda i: len(lines[i]))
        second = next((i for i in by_length if lines[i] != lines[shortest]), shortest)
        return "\n".join(dict.fromkeys(lines[i] for i in rng.sample((shortest, second), 2)))
    first = telling[: rng.choice((1, 2))]
    rest = [
        i for i in range(len(tried)) if i not in first and lines[i] not in [lines[j] for j in first]
    ]
    order = first + rng.sample(rest, min(len(rest), 2 - len(first)))
    chosen = list(dict.fromkeys(lines[i] for i in order))
    return "\n".join(chosen) if sum(map(len, chosen)) < 200 else None


def _class_tests(made: Made, name: str, code: str) -> str:
    space: dict[str, object] = {}
    exec(code, space)
    variable = made.stem[0].lower()
    lines = [f"{variable} = {name}()"]
    exec(lines[0], space)
    for line in made.cases[0]:
        if line.startswith("?"):
            value = eval(f"{variable}.{line[1:]}", space)
            lines.append(f"assert {variable}.{line[1:]} == {value!r}")
        else:
            exec(f"{variable}.{line}", space)
            lines.append(f"{variable}.{line}")
    return "\n".join(lines)


def _instruction(rng: random.Random, made: Made, name: str) -> str:
    if made.kind == "class":
        head = rng.choice(
            (
                f"Write a class `{name}`.",
                f"Implement a class named `{name}`.",
                f"Create the class `{name}`.",
                f"Design a small class `{name}`.",
                f"We need a class `{name}`.",
            )
        )
        parts = made.does.split("; ")
        return f"{head} " + ". ".join(parts) + "."
    head = f"{name}({', '.join(made.args)})"
    if made.kind == "program":
        return rng.choice(
            (
                f"Write a program with a function `{head}` that {made.does}.",
                f"Create a small program. Its function `{head}` {made.does}.",
                f"Build a program around `{head}`. It {made.does}.",
                f"Implement a text program: `{head}` {made.does}.",
            )
        )
    return rng.choice(
        (
            f"Write a function `{head}` that {made.does}.",
            f"Implement `{head}`. It {made.does}.",
            f"Create a Python function `{head}` which {made.does}.",
            f"Define a function `{head}`. The function {made.does}.",
            f"We need a function `{head}` that {made.does}.",
            f"Complete this task: `{head}` {made.does}.",
            f"Your task is a function `{head}`. It {made.does}.",
        )
    )
