"""Documents in the prompts of recipe `unit_coder`: tests for code, repairs, readable code."""

from __future__ import annotations

import random
from collections.abc import Iterable

from demo_model import library
from demo_model.corpus import Document, chat
from demo_model.mutants import documented, mutant
from demo_model.tasks import Task, compose
from gristmill.generators import unit_coder, unit_coder_refine

N_TESTS, MAX_TEST = 3, 80
"""The fewest tests that the prompt asks for; characters of one."""


def tests(rng: random.Random) -> tuple[Document, str]:
    """Render code -> tests."""
    task, checks = _task(rng)
    return _tests(documented(task.code, f'"""{task.say}."""'), checks), task.tree


def library_tests(rng: random.Random) -> tuple[Document, str]:
    """Render a function of the standard library -> tests."""
    code, lines, tree = rng.choice(library.tested())
    return _tests(code, sorted(rng.sample(lines, N_TESTS), key=lines.index)), tree


def repair(rng: random.Random) -> tuple[Document, str]:
    """Render code with a mistake, tests and what failed -> the code without it."""
    while True:
        task, checks = _task(rng)
        code, found = mutant(rng, task) or (task.code, dict(task.tried))
        told = [
            f"fail: check {i}: expected {value!r}, found {found[call]!r}\n"
            for i, (call, value) in enumerate(checks.values())
            if repr(found[call]) != repr(value)
        ]
        if told:
            break
    text = f'"""{task.say}."""'
    asked = unit_coder.FIX.format(
        tests="\n".join(checks), code=documented(code, text), outcome=told[0]
    )
    return chat(asked, _block(documented(task.code, text))), task.tree


def refine(rng: random.Random) -> tuple[Document, str]:
    """Render code -> the code with a longer docstring."""
    task, _ = _task(rng)
    arguments = task.code.partition("def ")[2].partition("(")[2].partition(")")[0]
    better = documented(task.code, f'"""{task.say}.\n\nTakes {arguments}. Returns the result.\n"""')
    asked = unit_coder_refine.REFINE.format(code=documented(task.code, f'"""{task.say}."""'))
    return chat(asked, _block(better)), task.tree


def _task(rng: random.Random) -> tuple[Task, dict[str, tuple[str, object]]]:
    """Draw a task, and some short asserts with their calls and values; not all values are one."""
    while True:
        task = compose(rng, rng.choice(("package", "package", "function")))
        lines = {f"assert {call} == {value!r}": (call, value) for call, value in task.tried}
        short = sorted(lines, key=len)[: N_TESTS + 2]
        if len(short) < N_TESTS or max(map(len, short)) > MAX_TEST:
            continue
        checks = {line: lines[line] for line in rng.sample(short, N_TESTS)}
        if len({repr(value) for _, value in checks.values()}) > 1:
            return task, checks


def _tests(code: str, checks: Iterable[str]) -> Document:
    return chat(unit_coder.TESTS.format(code=code), _block("\n".join(checks)))


def _block(code: str) -> str:
    return f"```python\n{code}\n```"
