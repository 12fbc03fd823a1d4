"""The training corpus: documents in the prompt formats of the demo recipes, and plain text.

A document is a list of (text, weight): what the model is asked with weighs little, what it has to
write weighs 1. Everything is drawn from one seed.
"""

from __future__ import annotations

import ast
import random
import sysconfig
import textwrap
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

from demo_model.syntax import CALLS, KINDS, concepts_of
from demo_model.tasks import Task, compose
from gristmill.generators import evol_instruct as evol
from gristmill.generators import self_code_align as sca
from gristmill.text.few_shot import Form

Document = list[tuple[str, float]]
Mix = Sequence[tuple[Callable[[random.Random], tuple[Document, str | None]], float]]
"""What makes documents, and how often; with each the hashes of the programs in it."""
ASKED = 0.15
"""Weight of the loss on text that the recipes give and the model never writes."""
END = "<|endoftext|>"
SYSTEM, USER, ASSISTANT, DONE = "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"
POOL = [*KINDS, *CALLS, "string manipulation"]
MAX_CONCEPTS = 5


def documents(seed: int, mix: Mix | None = None) -> Iterator[tuple[Document, str | None]]:
    """Yield documents without end, each with the tree hash of the program in it, if any."""
    rng = random.Random(seed)
    makers, weights = zip(*(mix or MIX), strict=True)
    while True:
        (maker,) = rng.choices(makers, weights)
        yield maker(rng)


def _filled(form: Form, parts: dict[str, str]) -> Document:
    """Render one form without worked examples: the open prompt, then what closes it."""
    asked = form.render([{k: v for k, v in parts.items() if k in form.parts[:1]}])
    full = form.render([parts])
    return [(asked, ASKED), (full[len(asked) :], 1.0)]


def easy_response(rng: random.Random) -> tuple[Document, str]:
    """Render instruction -> response and tests on short inputs."""
    return response(rng, easy=True)


def response(rng: random.Random, *, easy: bool = False) -> tuple[Document, str]:
    """Render instruction -> response and tests."""
    task = compose(rng, easy=easy)
    parts = {"instruction": task.instruction, "response": task.response}
    return _filled(sca.RESPONSE, {**parts, "tests": f"```python\n{task.tests}\n```"}), task.tree


def instruction(rng: random.Random) -> tuple[Document, str | None]:
    """Render properties -> instruction; concepts are those of the solution, with some noise."""
    task = compose(rng)
    concepts = listed(rng, task.code)
    if rng.random() < 0.5:
        concepts = [c for c in concepts if rng.random() < 0.6]
        concepts += [c for c in rng.sample(POOL, 3) if c not in concepts]
    lines = sca.properties(task.category, task.difficulty, concepts[:MAX_CONCEPTS])
    return _filled(sca.INSTRUCTION, {"property": lines, "instruction": task.instruction}), None


def concepts(rng: random.Random) -> tuple[Document, str | None]:
    """Render code -> concepts: mostly functions of the standard library."""
    real = rng.random() < 0.8
    code = rng.choice(functions()) if real else compose(rng).code
    return _filled(sca.CONCEPTS, {"code": code, "concepts": ", ".join(listed(rng, code))}), None


def listed(rng: random.Random, code: str) -> list[str]:
    """Return some of a program's concepts, in a fixed order."""
    found = concepts_of(code) or ["functions"]
    while len(found) > MAX_CONCEPTS:
        found.pop(rng.randrange(len(found)))
    return found


def chat(*turns: str, system: str = "", learnt: Sequence[bool] = ()) -> Document:
    """Render a conversation in the chat template; turns alternate, the user's first.

    `learnt` says of each answer whether it is one to be learnt; left out, all are.
    """
    parts: Document = [(f"{SYSTEM}\n{system}{DONE}\n", 0.0)] if system else []
    for i, turn in enumerate(turns):
        if i % 2:
            weight = 1.0 if not learnt or learnt[i // 2] else 0.0
            parts += [(ASSISTANT + "\n", ASKED), (turn + DONE + "\n", weight)]
        else:
            parts.append((f"{USER}\n{turn}{DONE}\n", ASKED))
    return parts


def answer(rng: random.Random) -> tuple[Document, str]:
    """Render a task as a chat."""
    task = compose(rng)
    return chat(task.instruction, task.response), task.tree


EXTRAS = {
    "Add a docstring.": lambda t: _inside(t, f'"""{t.say}."""'),
    "Begin with a comment that says what it does.": lambda t: _coded(t, f"# {t.say}.\n{t.code}"),
    "Explain the solution in two sentences.": lambda t: (
        f"{t.say}. Then return the result.\n\n```python\n{t.code}\n```"
    ),
    "Show one test below the code.": lambda t: _coded(t, f"{t.code}\n\n{t.tests.splitlines()[-1]}"),
    "Put the whole answer into one code block.": lambda t: f"```python\n{t.code}\n```",
    "Say at the end how many lines the code has.": lambda t: (
        f"{t.response}\n\nThe code has {t.code.count(chr(10)) + 1} lines."
    ),
    "Say first whether it needs a loop.": lambda t: (
        f"It needs {'a' if 'for ' in t.code else 'no'} loop. {t.response}"
    ),
    "End with the name of the solution.": lambda t: (
        f"{t.response}\n\n`{t.code.split('(')[0].split(':')[0].split()[1]}`"
    ),
}
"""What an evolution may add to a coding task, and the answer to it."""


def _coded(task: Task, code: str) -> str:
    return f"{task.say}.\n\n```python\n{code}\n```"


def _inside(task: Task, line: str) -> str:
    head, _, rest = task.code.partition("\n")
    return _coded(task, f"{head}\n    {line}\n{rest}")


def _evolved(rng: random.Random) -> tuple[Task, list[str]]:
    """Draw a task and versions of its instruction, each with one demand more."""
    task = compose(rng)
    names = rng.sample(sorted(EXTRAS), 3)
    return task, [" ".join([task.instruction, *names[:i]]) for i in range(3)]


def evolve(rng: random.Random) -> tuple[Document, str | None]:
    """Render one evolution, in depth or in breadth."""
    task, versions = _evolved(rng)
    operator, i = rng.choice(evol.PUBLIC), rng.choice((0, 0, 1))
    child = compose(rng, task.category).instruction if operator == "breadth" else versions[i + 1]
    (asked,) = evol.render(operator, instruction=versions[i])
    return chat(asked["content"], child), None


def judge(rng: random.Random) -> tuple[Document, str | None]:
    """Render the judge that compares two versions."""
    task, versions = _evolved(rng)
    parent = versions[rng.choice((0, 1))]
    other = rng.choice((versions[2], versions[2], compose(rng, task.category).instruction, parent))
    (asked,) = evol.render("judge", parent=parent, child=other)
    return chat(asked["content"], "same" if other == parent else "different"), None


def harder(rng: random.Random) -> tuple[Document, str]:
    """Render the answer to an evolved instruction."""
    task, versions = _evolved(rng)
    names = versions[1].removeprefix(task.instruction).strip()
    return chat(versions[1], EXTRAS[names](task)), task.tree


def code(rng: random.Random) -> tuple[Document, str | None]:
    """Return a function of the standard library."""
    return [(rng.choice(functions()) + "\n", 1.0)], None


def prose(rng: random.Random) -> tuple[Document, str | None]:
    """Return a paragraph or two of the standard library's documentation."""
    return [(rng.choice(paragraphs()) + "\n", 1.0)], None


def stdlib() -> list[Path]:
    """Return the source files of the standard library, tests left out."""
    root = Path(sysconfig.get_path("stdlib"))
    return [
        path
        for path in sorted(root.rglob("*.py"))
        if not {"test", "tests", "site-packages", "idlelib", "lib2to3", "__pycache__"}
        & set(path.relative_to(root).parts)
    ]


@cache
def _modules() -> list[tuple[str, ast.Module]]:
    found = []
    for path in stdlib():
        try:
            text = path.read_text(encoding="utf-8")
            found.append((text, ast.parse(text)))
        except (SyntaxError, UnicodeDecodeError):
            continue
    return found


@cache
def functions() -> list[str]:
    """Return short functions of the standard library of the running interpreter."""
    found = []
    for text, tree in _modules():
        for node in tree.body:
            nodes = [node] if isinstance(node, ast.FunctionDef) else []
            for function in nodes:
                source = ast.get_source_segment(text, function) or ""
                if 3 <= source.count("\n") <= 40 and len(source) < 800 and source.isascii():
                    found.append(source)
    return sorted(set(found))


@cache
def paragraphs() -> list[str]:
    """Return paragraphs of docstrings of the standard library."""
    found = set[str]()
    for _, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = textwrap.dedent(ast.get_docstring(node) or "")
                found.update(p for p in text.split("\n\n") if 80 < len(p) < 500 and p.isascii())
    return sorted(found)


MIX: Mix = [
    (response, 0.57),
    (instruction, 0.20),
    (concepts, 0.08),
    (answer, 0.04),
    (evolve, 0.02),
    (judge, 0.01),
    (harder, 0.02),
    (code, 0.03),
    (prose, 0.03),
]
EASY_MIX: Mix = [
    (easy_response, 0.76),
    (instruction, 0.12),
    (concepts, 0.03),
    (answer, 0.02),
    (evolve, 0.02),
    (judge, 0.01),
    (harder, 0.02),
    (code, 0.01),
    (prose, 0.01),
]
