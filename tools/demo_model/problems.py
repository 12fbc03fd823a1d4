"""Word problems with their solutions, in the prompts of recipes `infinity_math` and `code_act`."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from demo_model.acting import printed, rendered
from demo_model.corpus import Document, chat
from demo_model.syntax import is_held_out, tree_hash
from gristmill.generators import infinity_math
from gristmill.text.number_slots import Problem, align

FOUND = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
INVENTED_RATE = 0.3
"""Share of the nouns that are no words, so that copying is learnt and not the words."""
NEAR_RATE = 0.6
"""Share of the problems `near` the seeds that are worded as one of them."""
ASKED = Path(infinity_math.__file__).parents[1] / "recipes" / "word_problems.seeds.jsonl"
SEEDS = {json.loads(line)["question"] for line in ASKED.read_text("utf-8").splitlines()}
"""What is never drawn: the problems that the recipes ask."""


@dataclass(frozen=True)
class Worded:
    """One problem; `kind` is its entry in the table."""

    problem: Problem
    kind: dict[str, Any]
    values: dict[str, int]

    @property
    def question(self) -> str:
        """The problem with its numbers."""
        return self.problem.question(self.problem.own)

    def filled(self, expression: str) -> str:
        """Return an expression with numbers in the place of slots."""
        return re.sub(r"[a-z]+", lambda m: str(self.values.get(m[0], m[0])), expression)


def drawn(rng: random.Random, *, near: bool = False) -> Worded:
    """Draw a kind of problem, its words and its numbers; `near` those of the seeds."""
    while True:
        worded = _drawn(rng, near)
        if worded.question not in SEEDS:
            return worded


def _drawn(rng: random.Random, near: bool) -> Worded:
    kinds = FOUND["problems"]
    is_seed = near and rng.random() < NEAR_RATE
    kind = rng.choice([kind for kind in kinds if "near" in kind] if is_seed else kinds)
    several = FOUND["near_words" if near else "words"]
    words = {name: rng.choice(several[name]) for name in several}
    if not near and rng.random() < INVENTED_RATE:
        words["thing"] = "".join(rng.choice("bdfgklmnprst") + rng.choice("aeiou") for _ in "123")
    template = (kind["near"] if is_seed else rng.choice(kind["texts"])).format(**words)
    template = template[0].upper() + template[1:]
    values = {
        name: rng.randrange(low, high + 1, *step)
        for name, (low, high, *step) in kind["ranges"].items()
    }
    question = re.sub(r"\[\[(\w+)\]\]", lambda m: str(values[m[1]]), template)
    match align(template, question):
        case Problem() as problem:
            return Worded(problem, kind, values)
        case str(why):
            raise ValueError(f"{why}: {template}")


def mask(rng: random.Random, *, bare: bool = False, near: bool = False) -> tuple[Document, None]:
    """Render a problem -> the problem with slots; a `bare` one without the rules."""
    worded = drawn(rng, near=near)
    rules = infinity_math.MASK[infinity_math.MASK.rindex("### Problem") if bare else 0 :]
    asked = rules.format(question=worded.question)
    return chat(asked, worded.problem.template), None


def program(rng: random.Random, *, bare: bool = False, near: bool = False) -> tuple[Document, str]:
    """Render a problem with slots -> a program that is not held out."""
    while True:
        worded = drawn(rng, near=near)
        code = _solve(rng, worded)
        if not is_held_out(tree := tree_hash(code)):
            break
    problem = worded.problem
    names = "\n".join(f"{slot.name}: {slot.kind}" for slot in problem.slots)
    rules = infinity_math.PROGRAM[infinity_math.PROGRAM.rindex("### Problem") if bare else 0 :]
    asked = rules.format(template=problem.template, names=names)
    return chat(asked, f"```python\n{code}\n```"), tree


def episode(rng: random.Random, *, bare: bool = False, near: bool = False) -> tuple[Document, None]:
    """Render an episode: the solution in steps, once more in one line, the answer."""
    worded = drawn(rng, near=near)
    steps, whole = worded.kind["steps"], worded.filled(rng.choice(worded.kind["wholes"]))
    known = dict[str, Any]()
    for name, expression, _ in steps:
        known[name] = eval(worded.filled(expression), {}, known)
    result = worded.filled(worded.kind["result"])
    lines = [f"{name} = {worded.filled(expression)}" for name, expression, _ in steps]
    told = " ".join(why for *_, why in steps)
    said = [
        "\n".join([told, "<execute>", *lines, f"print({result})", "</execute>"]),
        f"I check it in one line.\n<execute>\nprint({whole})\n</execute>",
        f"<solution>{eval(result, {}, known):g}</solution>",
    ]
    heard = [printed(eval(result, {}, known)), printed(eval(whole))]
    return rendered(worded.question, said, heard, bare=bare), None


def _solve(rng: random.Random, worded: Worded) -> str:
    kind = worded.kind
    head = [f"def solve({', '.join(slot.name for slot in worded.problem.slots)}):"]
    head.append(f'    """Return {kind["gives"]}."""')
    steps, whole = kind["steps"], rng.choice(kind["wholes"])
    body = [line for name, how, why in steps for line in (f"# {why}", f"{name} = {how}")]
    why = f"# {steps[-1][-1]}"
    ways = [
        [*body, "# The result.", f"return {kind['result']}"],
        [*body, "# The result.", f"result = {kind['result']}", "return result"],
        [why, f"return {whole}"],
        [why, f"result = {whole}", "return result"],
    ]
    return "\n".join([*head, *(f"    {line}" for line in rng.choice(ways))])
