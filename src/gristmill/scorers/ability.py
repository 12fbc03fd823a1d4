"""Ability: which one of a closed list a row trains, as a label for quotas and mixtures.

Source: Song et al., "Dynamics of Instruction Tuning: Each Ability of Large Language Models Has Its
Own Growth Pace", arXiv:2310.19651: ten abilities, each with a size of its own that is enough.
Differs from the paper: there people collected the rows by ability; here a judge names the letter of
one in one token, and the share of its letter says how sure it is. Prompt and wording of the list
are our own. Audit a hundred labels per ability before you build quotas on them.
"""

from __future__ import annotations

from string import ascii_uppercase
from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.passes import Answered, flagged, judged
from gristmill.engines.requests import Message, Op
from gristmill.formats.text_lines import Lines
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage
from gristmill.text.turns import turns

PROMPT = """Below are a list of abilities and a task. Which one ability does it take most to do the
task well? Answer with the letter of one ability and nothing else.

### Abilities
{abilities}

### Task
{task}

### Letter"""
ABILITIES = (
    "ethics", "role-play", "creative writing", "code generation", "logical reasoning",
    "mathematics step by step", "understanding a dialogue", "biology", "history",
    "language and grammar",
)  # fmt: skip


class Named(TypedDict, total=False):
    """What it writes; None where there is no task, or the judge did not answer."""

    label: str | None
    """A name of the list; of equal shares the first."""
    score: float | None
    """0..1: the label's share of all letters; 1 / n where the judge has no idea."""
    mass: float | None
    """Probability (0..1) that the judge wrote a letter at all; near 0 it did not understand."""
    flags: list[str]
    """`empty_prompt`, `prompt_too_long`, `prompt_refused` and `judge_parse_fail` are added."""


class Ability(RowStage):
    """Ask a judge once about what stands before the first answer."""

    version: ClassVar[int] = 2

    abilities: Lines = Field(default=ABILITIES, min_length=2, max_length=len(ascii_uppercase))
    """The closed list, or the path of a file with a name on each line."""

    def needs(self) -> dict[str, Op]:
        """The judge gives the probabilities of letters."""
        return {"judge": "choice"}

    def judges(self) -> frozenset[str]:
        """The answer says nothing about what a task takes."""
        return frozenset({"instruction"})

    async def __call__(self, row: Answered, ctx: Context) -> Named:
        """Ask once."""
        said = turns(row)
        first = next((i for i, turn in enumerate(said) if turn["role"] == "assistant"), len(said))
        if not first:
            return {"label": None, "score": None, "mass": None, **flagged(row, {"empty_prompt"})}
        letters = dict(zip(ascii_uppercase, self.abilities, strict=False))
        listed = "\n".join(f"{letter}. {name}" for letter, name in letters.items())
        task = "\n\n".join(turn["content"] for turn in said[:first])
        asked: list[Message] = [
            {"role": "user", "content": PROMPT.format(abilities=listed, task=task)}
        ]
        probs, mass, flag = await judged(ctx.llm("judge").choice(asked, tuple(letters)))
        if not probs:
            return {"label": None, "score": None, "mass": mass, **flagged(row, {flag})}
        best = max(letters, key=lambda letter: probs.values[letter])
        return {"label": letters[best], "score": probs.values[best], "mass": mass}
