"""FinGPT's tasks: labelled finance texts as instructions, plain or with options in any order.

Source: Wang et al., "FinGPT: Instruction Tuning Benchmark for Open-Source Large Language Models in
Financial Datasets", arXiv:2310.04793, section 3; `AI4Finance-Foundation/FinGPT` (MIT).
Differs from the paper: sources are balanced by `selectors.mixture` with `epochs`, which counts how
often a row is to be seen, in the place of copies: a copy can fall on both sides of a split.
"""

from __future__ import annotations

from typing import ClassVar, Literal, NotRequired, TypedDict

from pydantic import Field

from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import Drop, RowStage

SENTIMENT = ("negative", "neutral", "positive")
CUTS = (-0.1, 0.1)
"""Scores from which on a text is neutral, and positive."""
ASKS = {
    "sentiment": (
        "What is the sentiment of this {kind}?",
        "Say how this {kind} sounds to an investor.",
        "Classify the tone of this {kind}.",
    ),
    "headline": (
        "Does this headline speak of {question}?",
        "Say whether this headline is about {question}.",
    ),
    "entities": (
        "Name the entities in this text with their types.",
        "List who and what this text names, and of which type each is.",
    ),
    "relations": (
        "Name the relations between the entities of this text.",
        "Which relations does this text state?",
    ),
}
"""Ways to ask, the first one plain; the others for the zero-shot variant."""
TYPES = ("person", "organization", "location")
QUESTIONS = {
    "price_or_not": "the price of the commodity",
    "price_up": "a price that goes up",
    "price_constant": "a price that stays as it is",
    "price_down": "a price that goes down",
    "past_price": "a price in the past",
    "future_price": "a price in the future",
    "past_news": "an event in the past that is no price",
    "future_news": "an event in the future that is no price",
    "comparison": "a comparison with another commodity",
}
"""Nine questions of a headline; each is answered by the key of its name in `answers`."""


class Entity(TypedDict):
    """Something named, and what it is."""

    name: str
    type: str


class Relation(TypedDict):
    """Two entities, and what holds between them."""

    head: str
    relation: str
    tail: str


class Labelled(TypedDict):
    """What it reads: a text, and the labels of its task."""

    sentence: str
    kind: NotRequired[str | None]
    """What the text is: `news`, which is the default, or `tweet`."""
    label: NotRequired[str | None]
    score: NotRequired[float | None]
    answers: NotRequired[dict[str, bool] | None]
    entities: NotRequired[list[Entity] | None]
    relations: NotRequired[list[Relation] | None]


class Task(TypedDict):
    """What it writes."""

    instruction: str
    input: str
    output: str
    task: str


class FinTasks(RowStage):
    """Make the rows of a labelled text: nine of a headline, else one. Nobody is asked."""

    codes: ClassVar[frozenset[str]] = frozenset({"no_label", "neutral"})

    task: Literal["sentiment", "headline", "entities", "relations"] = "sentiment"
    zero_shot: bool = False
    """Ask in any of several ways, with the labels as options; neutral texts leave."""
    labels: tuple[str, ...] = Field(default=SENTIMENT, min_length=2)
    """Of sentiment: three, or the seven of one set of news."""

    async def __call__(self, row: Labelled, ctx: Context) -> list[Task | Drop]:
        """Ask by chance of the row's own, answer by its labels."""
        if self.task == "headline":
            found = row.get("answers") or {}
            return [
                self._task(row, ctx, _yes(found.get(name)), ("yes", "no"), question)
                for name, question in QUESTIONS.items()
            ]
        if self.task == "sentiment":
            label = _sentiment(row)
            if self.zero_shot and label == "neutral":
                return [Drop("neutral", row["sentence"])]
            return [self._task(row, ctx, label if label in self.labels else None, self.labels)]
        named = (f"{one['name']} is {_a(one['type'])}" for one in row.get("entities") or [])
        stated = (f"{r['relation']}: {r['head']}, {r['tail']}" for r in row.get("relations") or [])
        said = "; ".join(named if self.task == "entities" else stated)
        options = TYPES if self.task == "entities" else ()
        return [self._task(row, ctx, said or None, options)]

    def _task(
        self, row: Labelled, ctx: Context, answer: str | None, options: tuple[str, ...],
        question: str = "",
    ) -> Task | Drop:  # fmt: skip
        if answer is None:
            return Drop("no_label", question or self.task)
        asks = ASKS[self.task]
        ask = ctx.rng.choice(asks) if self.zero_shot else asks[0]
        told = ask.format(kind=row.get("kind") or "news", question=question)
        if options:
            shown = ctx.rng.sample(options, k=len(options)) if self.zero_shot else options
            told += f"\nOptions: {', '.join(shown)}"
        return Task(instruction=told, input=row["sentence"], output=answer, task=self.task)


def _a(noun: str) -> str:
    return f"an {noun}" if noun[:1].lower() in "aeiou" else f"a {noun}"


def _yes(truth: bool | None) -> str | None:
    return None if truth is None else "yes" if truth else "no"


def _sentiment(row: Labelled) -> str | None:
    """Return the label, or what a score falls under: half-open bins."""
    if row.get("label") or (score := row.get("score")) is None:
        return row.get("label")
    return SENTIMENT[sum(score >= cut for cut in CUTS)]
