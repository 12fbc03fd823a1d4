"""Documents with worked examples, in the prompts of recipe `self_code_align`: judge and writer.

A document is one prompt that goes on: each of its examples is answered, and each answer of ours is
learnt. Some begin with the examples that the recipe shows; their answers are not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from demo_model.corpus import ASKED, MAX_CONCEPTS, POOL, Document, functions, listed
from demo_model.mutants import documented
from demo_model.tasks import Task, compose
from gristmill.filters import self_code_align_judge as judge
from gristmill.generators import self_code_align as sca
from gristmill.text.few_shot import Form

TOLD = yaml.safe_load(Path(__file__).with_name("reviews.yaml").read_text(encoding="utf-8"))
MAX_CHARS = 2_400
"""Characters of a document's examples: what fits the context with the rest of the prompt."""
JUDGED = 3.0
"""Weight of the loss on Yes and No, one token of each hundred."""
CUTS = (" that ", " which ", " where ", ", ", " of ")
"""Where what a function does can be cut so that it does not say enough."""


def review(rng: random.Random) -> tuple[Document, str | None]:
    """Render functions -> whether the docstring is enough."""
    shown = rng.sample(judge.examples(), rng.choice((0, 0, 1, 3, 3)))
    trees = list[str]()

    def blocks() -> Iterator[dict[str, str]]:
        while True:
            enough = rng.random() < 0.5
            code, tree = reviewed(rng, enough=enough)
            trees.append(tree)
            yield {"code": code, "enough": "Yes" if enough else "No"}

    return _thread(judge.REVIEW, shown, blocks(), JUDGED), " ".join(trees)


def reviewed(rng: random.Random, *, enough: bool, held_out: bool = False) -> tuple[str, str]:
    """Return a function whose docstring says what it does, or too little, and its tree hash."""
    task = compose(rng, rng.choice(("function", "package", "program")), held_out=held_out)
    said = _whole(rng, task) if enough else _vague(rng, task)
    return documented(task.code, f'"""{said}"""'), task.tree


def _whole(rng: random.Random, task: Task) -> str:
    does = task.does[0].upper() + task.does[1:]
    if does.startswith("Returns ") and rng.random() < 0.6:
        does = does.replace("Returns", "Return", 1)
    return _with(rng, f"{does}.", task)


def _vague(rng: random.Random, task: Task) -> str:
    """Return words that fit any function, or the beginning of what this one does."""
    cut = next((task.does.partition(at)[0] for at in CUTS if at in task.does), "")
    if " " in cut and rng.random() < 0.3:
        return _with(rng, f"{cut[0].upper()}{cut[1:]}.", task)
    return _with(rng, _filled(rng, "vague", task), task)


def _with(rng: random.Random, first: str, task: Task) -> str:
    """Add what is beside the point: sentences, or a call, neither of which makes it clear."""
    parts = [first]
    if rng.random() < 0.4:
        parts += [_filled(rng, "beside", task) for _ in range(rng.choice((1, 1, 2)))]
    if task.tried and rng.random() < 0.15:
        call, value = rng.choice(task.tried)
        parts.append(f">>> {call}\n{value!r}")
    return parts[0] if len(parts) == 1 else "\n\n".join([parts[0], "\n".join(parts[1:])]) + "\n"


def _filled(rng: random.Random, kind: str, task: Task) -> str:
    words = {name: rng.choice(several) for name, several in TOLD["words"].items()}
    name, _, rest = task.code.rpartition("def ")[2].partition("(")
    args = rest.partition(")")[0]
    text: str = rng.choice(TOLD[kind])
    return text.format(name=name, args=args, arg=args.split(",")[0], **words)


def concepts(rng: random.Random) -> tuple[Document, str | None]:
    """Render functions of the standard library -> concepts, several times."""

    def blocks() -> Iterator[dict[str, str]]:
        while True:
            code = rng.choice(functions())
            yield {"code": code, "concepts": ", ".join(listed(rng, code))}

    return _thread(sca.CONCEPTS, _shots(rng, (0, 1, 2, 4)), blocks()), None


def instructions(rng: random.Random) -> tuple[Document, str | None]:
    """Render properties -> instruction, several times."""

    def blocks() -> Iterator[dict[str, str]]:
        while True:
            task = compose(rng)
            found = [one for one in listed(rng, task.code) if rng.random() < 0.8]
            found += [one for one in rng.sample(POOL, rng.choice((0, 1, 3))) if one not in found]
            lines = sca.properties(
                task.category, task.difficulty, found[:MAX_CONCEPTS] or ["functions"]
            )
            yield {"property": lines, "instruction": task.instruction}

    return _thread(sca.INSTRUCTION, _shots(rng, (0, 4, 4, 4)), blocks()), None


def responses(rng: random.Random) -> tuple[Document, str]:
    """Render a worked example, then instruction -> response and tests on short inputs."""
    task = compose(rng, easy=True)
    parts = {"instruction": task.instruction, "response": task.response}
    block = {**parts, "tests": f"```python\n{task.tests}\n```"}
    shown = _shots(rng, (1,))
    asked = sca.RESPONSE.render([*shown, {"instruction": task.instruction}])
    whole = sca.RESPONSE.render([*shown, block])
    return [(asked, 0.0), (whole[len(asked) :], 1.0)], task.tree


def _shots(rng: random.Random, several: Sequence[int]) -> list[dict[str, str]]:
    return rng.sample(sca.examples(), rng.choice(several))


def _thread(
    form: Form,
    shown: Sequence[Mapping[str, str]],
    blocks: Iterator[Mapping[str, str]],
    weight: float = 1.0,
) -> Document:
    """Render the examples shown, then our own until the prompt is full."""
    done = list[Mapping[str, str]](shown)
    before = form.render(done)
    parts: Document = [(before, 0.0)]
    while len(before) < MAX_CHARS:
        block = next(blocks)
        asked = form.render([*done, {form.parts[0]: block[form.parts[0]]}])
        done.append(block)
        whole = form.render(done)
        told = len(asked) + len(block[form.parts[-1]])
        parts += [(asked[len(before) :], ASKED / 3), (whole[len(asked) : told], weight)]
        parts.append((whole[told:], 1.0))
        before = whole
    return parts
