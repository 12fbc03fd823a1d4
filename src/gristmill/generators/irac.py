"""IRAC: explanations of bar-exam questions put into issue, rule, application and conclusion.

Source: Fernandes et al., "A Llama walks into the 'Bar': Efficient Supervised Fine-Tuning for Legal
Reasoning in the Multi-state Bar Exam", arXiv:2504.04945, sections 3 and 4. `verifiers.irac` reads
what a model answers in these formats.
Differs from the paper: our own prompts; an explanation that brings words of its own, or ends with
another choice than the right one, is left out. How many samples of a domain are best, which the
paper sweeps, is for the seeds to say.
"""

from __future__ import annotations

import re
from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.irac import LETTERS, PARTS, Form, Order, asked, rendered
from gristmill.text.words import STOP_WORDS, words

RESTRUCTURE = """Below are a legal question and an explanation of its right choice. Put the \
explanation into four parts, each behind its label at the start of a line: Issue, Rule, \
Application, Conclusion. Use facts and law from the question and the explanation alone. The \
conclusion begins with the letter of the right choice.

### Question
{question}

### Explanation
{explanation}

### Four parts"""
LABEL = re.compile(rf"(?im)^[ \t*#]*({'|'.join(PARTS)})[\s*]*:[\s*]*")
LETTER = re.compile(
    r"^[\W_]*(?:(?i:choice|option|answer)\W+([A-Da-d])\b"
    r"|([A-Da-d])(?=\s*(?:[.,:;)*]|$)|\s+(?:is|because)\b))"
)
"""The letter that a conclusion begins with: the article of "A promise binds" is none."""


class Question(TypedDict):
    """What it reads."""

    instruction: str
    choices: list[str]
    gold: str
    """The letter of the right choice."""
    explanation: str


class Restructured(TypedDict):
    """What it writes, once per order and format."""

    instruction: str
    input: str | None
    output: str
    gen: Gen
    order: Order
    form: Form
    letter: str


class Irac(RowStage):
    """Restructure an explanation once, and render it in every order and format."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {
        "bad_gold", "no_parts", "wrong_conclusion", "unsupported"
    }  # fmt: skip

    orders: tuple[Order, ...] = Field(default=("choice_first", "explanation_first"), min_length=1)
    forms: tuple[Form, ...] = Field(default=("list", "markdown", "json"), min_length=1)
    few_shot: str = ""
    """Worked questions in front of every prompt; without any it is zero-shot."""
    min_support: float = Field(default=0.6, ge=0, le=1)
    """Share (0..1) of the content words of the parts that question and explanation have. Ours."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=1024)

    def needs(self) -> dict[str, Op]:
        """One large model; the paper's has 70B parameters."""
        return {"generator": "generate"}

    async def __call__(self, row: Question, ctx: Context) -> list[Restructured] | Drop:
        """Ask once."""
        choices, gold = row["choices"], row["gold"].strip().upper()
        if len(choices) != len(LETTERS) or len(gold) != 1 or gold not in LETTERS:
            return Drop("bad_gold", f"{gold} of {choices}")
        shown = asked(row["instruction"], choices)
        prompt = RESTRUCTURE.format(question=shown, explanation=row["explanation"])
        ask: list[Message] = [{"role": "user", "content": prompt}]
        reply = await complete(ctx.llm("generator"), ask, self.sampling)
        if isinstance(reply, Drop):
            return reply
        parts = four_parts(reply.text)
        if parts is None:
            return Drop("no_parts", reply.text)
        found = LETTER.match(parts["conclusion"])
        if not found or (found[1] or found[2]).upper() != gold:
            return Drop("wrong_conclusion", f"not {gold}: {parts['conclusion']}")
        rate = support(" ".join(parts.values()), f"{shown} {row['explanation']}")
        if rate < self.min_support:
            return Drop("unsupported", f"{rate:.2f} of the words are known: {reply.text}")
        return [
            Restructured(
                instruction=self.few_shot + asked(row["instruction"], choices, order, form),
                input=None, output=rendered(parts, gold, order, form), gen=reply.gen,
                order=order, form=form, letter=gold,
            )
            for order in self.orders
            for form in self.forms
        ]  # fmt: skip


def four_parts(text: str) -> dict[str, str] | None:
    """Return the parts by name; None unless each is there once, in order, and says something."""
    found = list(LABEL.finditer(text))
    if [one[1].lower() for one in found] != list(PARTS):
        return None
    ends = [one.start() for one in found[1:]] + [len(text)]
    said = [text[one.end() : end].strip() for one, end in zip(found, ends, strict=True)]
    return dict(zip(PARTS, said, strict=True)) if all(said) else None


def support(text: str, source: str) -> float:
    """Return the share (0..1) of a text's content words that its source has."""
    said = [word for word in words(text) if word not in STOP_WORDS]
    known = set(words(source))
    return sum(word in known for word in said) / len(said) if said else 0.0
