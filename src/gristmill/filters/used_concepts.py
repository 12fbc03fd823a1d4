"""Drop homework that needs fewer of its key concepts than it was asked to combine.

Source: Li et al., "Synthetic Data (Almost) from Scratch", arXiv:2402.13064, section 2.4: questions
combine concepts. Rows come from `generators.glan`.
Differs from the paper: there writers are trusted; here a question names two of its concepts, or a
judge finds that it needs them, because many questions only ask what one concept means.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Op
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, judge
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.turns import user
from gristmill.text.words import STOP_WORDS, words

PROMPT = """Does a homework question need at least as many of the key concepts below as the number \
says? A concept is needed where the answer has to use it, by that name or another; telling what it \
means is not to use it. Reply with yes or no.

### Number
{least}

### Key concepts
{concepts}

### Homework question
{question}

### Yes or no"""

SIGN = re.compile(r"(?<=\w)#|(?<=\w)\+(?=\+)|(?<=\w\+)\+")
Homework = TypedDict("Homework", {"instruction": str, "meta.glan.concepts": list[str]})
"""What it reads."""


class Named(TypedDict):
    """What it writes: the concepts that the question names."""

    named: list[str]


class UsedConcepts(RowStage):
    """Look for the words of the concepts; ask a judge only where too few are named."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"few_concepts"}

    least: int = Field(default=2, ge=1)
    """Concepts that a question needs; all of them where it was asked for fewer."""

    def needs(self) -> dict[str, Op]:
        """The judge writes a word."""
        return {"judge": "generate"}

    async def __call__(self, row: Homework, ctx: Context) -> Named | Drop:
        """Ask once at most, greedily."""
        concepts, question = row["meta.glan.concepts"], row["instruction"] or ""
        named = _named(concepts, question)
        least = min(self.least, len(concepts))
        if len(named) < least:
            told = "\n".join(f"- {concept}" for concept in concepts)
            ask = [user(PROMPT.format(least=least, concepts=told, question=question))]
            verdict = await judge(ctx.llm("judge"), ask, ("yes", "no"))
            if isinstance(verdict, Drop):
                return verdict
            if verdict == "no":
                return Drop("few_concepts", f"{len(named)} of {least} named: {question}")
        return {"named": named}


def _named(concepts: list[str], question: str) -> list[str]:
    """Return the concepts whose words are there, beyond those of concepts that hold them."""
    said, mentions = Counter(_words(question)), dict[str, tuple[frozenset[str], int]]()
    words_of = {concept: frozenset(_words(concept)) for concept in concepts}
    for concept in sorted(words_of, key=lambda one: -len(words_of[one])):
        own = words_of[concept]
        inside = sum(n for other, n in mentions.values() if own <= other)
        mentions[concept] = own, max(0, min((said[word] for word in own), default=0) - inside)
    return [concept for concept in words_of if mentions[concept][1]]


def _words(text: str) -> list[str]:
    """Return the words with content, each without a plural's s; C++ and C# are not C."""
    told = SIGN.sub(lambda found: "plus" if found[0] == "+" else "sharp", text)
    return [word.removesuffix("s") for word in words(told) if word not in STOP_WORDS]
