"""Documents in the prompts of recipe `code_act`: a task, two pieces of code, the answer."""

from __future__ import annotations

import random

from demo_model.corpus import Document, chat
from demo_model.mutants import mutant
from demo_model.tasks import compose
from gristmill.generators import code_act
from gristmill.text.interpreter_steps import observed

WRONG_RATE = 0.15
"""Share of the episodes whose first answer is wrong."""
MAX_CODE = 350
"""Characters of a solution, which an episode shows twice or three times."""
RETRIES = ("Now another input.", "I try one more input.", "One more input.")


def episode(rng: random.Random, *, bare: bool = False) -> tuple[Document, str]:
    """Render an episode of three turns, or of four where the first answer is wrong.

    A `bare` one lacks the rules, which are as long as the rest and always the same.
    """
    while True:
        task = compose(rng, rng.choice(("function", "function", "program")), easy=True)
        calls = dict(sorted(task.tried, key=lambda tried: len(tried[0]))[:4])
        if len(calls) > 1 and len(task.code) <= MAX_CODE:
            break
    first, second = rng.sample(sorted(calls), 2)
    said = [
        f"{task.say}.\n<execute>\n{task.code}\nprint({first})\n</execute>",
        f"{rng.choice(RETRIES)}\n<execute>\nprint({second})\n</execute>",
    ]
    heard = [printed(calls[first]), printed(calls[second])]
    wrong = mutant(rng, task) if rng.random() < WRONG_RATE else None
    if wrong:
        said.append(answer(wrong[0]))
        heard.append(code_act.WRONG_ANSWER)
    return rendered(task.instruction, [*said, answer(task.code)], heard, bare=bare), task.tree


def rendered(asked: str, said: list[str], heard: list[str], *, bare: bool) -> Document:
    """Put turns and observations into the chat template; a wrong answer is not to be learnt."""
    turns, stage, attempts = [asked], code_act.CodeAct(), code_act.CodeAct().attempts
    for i, (mine, seen) in enumerate(zip(said, heard, strict=False)):
        attempts -= seen == code_act.WRONG_ANSWER
        left = code_act.LEFT.format(steps=stage.steps - 1 - i, attempts=attempts)
        turns += [mine, f"Observation: {seen}\n({left})"]
    learnt = [seen != code_act.WRONG_ANSWER for seen in heard] + [True]
    rules = "" if bare else code_act.RULES + code_act.EXAMPLE
    return chat(*turns, said[-1], system=rules, learnt=learnt)


def answer(code: str) -> str:
    """Return a turn that answers."""
    return f"<solution>\n```python\n{code}\n```\n</solution>"


def printed(value: object) -> str:
    """Return what the interpreter shows for `print(value)`."""
    return observed({"stdout": str(value), "value": None, "error": None})
