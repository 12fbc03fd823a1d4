"""AutoIF: from a list of instructions that a program can check to a longer one.

Source: Dong et al., "Self-play with Execution Feedback: Improving Instruction-following
Capabilities of Large Language Models", arXiv:2406.13542, section 3.1 (instruction augmentation).
The functions that check them are `filters.auto_if_checks`, the tasks that they are put on
`auto_if_queries`, the answers `auto_if_answers`.
Differs from the paper: our own prompt; what repeats an instruction is told by words and vectors.
"""

from __future__ import annotations

import asyncio
import re
from typing import ClassVar, TypedDict

import numpy as np
from pydantic import Field

from gristmill.engines.requests import Op, Sampling
from gristmill.geometry.vectors import unit
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.demands import turning
from gristmill.text.rouge import f_measure
from gristmill.text.words import words

MORE = """Below are instructions about the form of an answer, whatever it is an answer to. A \
program can tell from the answer alone whether it follows them. Write {n} new ones of this kind, \
each different from all others, each on a line of its own after a dash. Write nothing else.

### Instructions
{known}

### New instructions"""
LINE = re.compile(r"^[ \t]*(?:[-*•]|\d+[.)])\s+(\S(?:.*\S)?)[^\S\n]*$", re.MULTILINE)
MAX_COSINE, MAX_ROUGE = 0.7, 0.7
"""From here on two instructions are alike. By `minilm` 12 of 15 pairs of a published instruction
and what its functions were found to ask for have 0.73 to 0.90; of our 18 one pair has 0.72, and
other `turning` words. By these alone "at least five" differs from "at most five", at 0.97."""
ARTICLE = re.compile(r"\b(?:an?|the)\s+(?=\w)")


class Known(TypedDict):
    """What it reads: a list of instructions, as a row."""

    atoms: list[str]


class Atom(TypedDict):
    """What it writes."""

    instruction: str
    is_given: bool
    """Whether it stood in the list; else the model wrote it."""


class AutoIf(RowStage):
    """Make a row of every instruction of a list, and of every new one that a model writes."""

    version: ClassVar[int] = 5
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"no_list"}

    n: int = Field(default=50, ge=1)
    """New instructions to ask for."""
    max_cosine: float = Field(default=MAX_COSINE, gt=0, le=1)
    """Cosine from which a new one repeats another, unless it turns it round; 1 asks no embedder:
    n-grams alone tell."""
    sampling: Sampling = Sampling(temperature=1.0, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """One model writes, a sentence encoder finds repeats."""
        asked: dict[str, Op] = {"generator": "generate"}
        return asked | embedding(self.max_cosine)

    async def __call__(self, row: Known, ctx: Context) -> list[Atom | Drop]:
        """Show the whole list in one call; a new one that stands in it already is not new."""
        known = list(dict.fromkeys(one.strip() for one in row["atoms"] if one.strip()))
        new = await more(known, self.n, self.sampling, self.max_cosine, ctx)
        made = (
            [new] if isinstance(new, Drop) else [Atom(instruction=x, is_given=False) for x in new]
        )
        return [*(Atom(instruction=one, is_given=True) for one in known), *made]


def embedding(max_cosine: float) -> dict[str, Op]:
    """Return the role that `more` asks for vectors, where it does."""
    return {"embedder": "embed"} if max_cosine < 1 else {}


async def more(
    known: list[str], n: int, sampling: Sampling, max_cosine: float, ctx: Context
) -> list[str] | Drop:
    """Return what a model adds to a list, without what repeats a line of it or each other."""
    prompt = MORE.format(n=n, known="\n".join(f"- {one}" for one in known))
    reply = await complete(ctx.llm("generator"), [{"role": "user", "content": prompt}], sampling)
    if isinstance(reply, Drop):
        return reply
    have, new = {_same(one) for one in known}, list[str]()
    for line in LINE.findall(reply.text):
        if (same := _same(line)) not in have:
            have.add(same)
            new.append(line)
    if new:
        new = await _unlike(known, new, max_cosine, ctx)
    return new[:n] or Drop("no_list", reply.text)


async def _unlike(known: list[str], new: list[str], max_cosine: float, ctx: Context) -> list[str]:
    """Return the new ones that are like none before them, by vectors or n-grams. O(n m)."""
    texts = [*known, *new]
    points = np.zeros((len(texts), 1), np.float32)
    if max_cosine < 1:
        found = await asyncio.gather(*map(ctx.llm("embedder").embed, texts))
        points = unit(np.stack([one.values for one in found]))
    said, turns = [words(one) for one in texts], [turning(one) for one in texts]
    kept = [*range(len(known))]
    for i in range(len(known), len(texts)):
        same = (j for j in kept if turns[j] == turns[i])
        if not any(
            points[i] @ points[j] >= max_cosine or f_measure(said[i], said[j]) >= MAX_ROUGE
            for j in same
        ):
            kept.append(i)
    return [texts[i] for i in kept[len(known) :]]


def _same(text: str) -> str:
    """Return what plain repeats share: all but case, spaces, articles and the full stop."""
    return " ".join(ARTICLE.sub("", text.casefold()).split()).removesuffix(".")
