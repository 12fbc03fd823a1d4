"""The Fellowship of the LLMs: a generator revises what a reviewer finds fault with.

Source: Arif et al., "The Fellowship of the LLMs: Multi-Agent Workflows for Synthetic Preference
Optimization Dataset Generation", arXiv:2408.08688, sections 3.2 and 3.3 (the feedback loop; its
last answer against its first). `verifiers.fellowship` compares evaluators.
Differs from the paper: our own prompts; a score that cannot be read is asked for once more, and an
equal one makes no pair; which answer is A is left to chance, as judges favour a place. Pairs of one
model's answers without a loop are recipe `ultra_feedback_pairs`; its single rows, good or bad, are
the two sides of these pairs.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Completion, Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import detectors
from gristmill.text.evaluators import COMBINED, FINAL, both_scores
from gristmill.text.leaks import heads, leak
from gristmill.text.openings import unannounced
from gristmill.text.pairs import Pair, pair
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.rouge import repeats
from gristmill.text.turns import question, user
from gristmill.text.words import words

REVIEW = """Review the answer to a question. Say what is wrong, missing or unclear, give a score \
out of 10 with one decimal, then say what to change. Be concrete.

### Question
{asked}

### Answer
{answer}

### Review"""
REVISE = """A reviewer wrote this about your answer:

{review}

Write the whole answer again with what is right in the review. Give the new answer alone: no \
thanks, and no word about changes."""
MARKS = heads([REVIEW])


class Asked(TypedDict):
    """What it reads."""

    instruction: str
    input: NotRequired[str | None]


class Improved(Pair, total=False):
    """What it writes: the better of the first and the last answer is `chosen`."""

    gen: Gen
    answers: list[str]
    reviews: list[str]
    scores: list[float]
    """Of the first and of the last answer, out of 10."""


class Fellowship(RowStage):
    """Make one pair of a question: three answers, two reviews, one evaluation."""

    version: ClassVar[int] = 3
    codes: ClassVar[frozenset[str]] = (
        REPLY_CODES | NON_ANSWERS | {"no_gain", "tie", "template_leak"}
    )

    answers: int = Field(default=3, ge=2)
    """Answers in a loop; one review less."""
    reviewers: tuple[str, ...] = Field(default=("reviewer",), min_length=1)
    """Roles of those who review; the paper's variant with two hands on both reviews together."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=2048)
    """For answers; reviews and scores are greedy."""

    def needs(self) -> dict[str, Op]:
        """The paper's best generator and reviewer are of two families, and so is its judge."""
        return dict.fromkeys(("generator", *self.reviewers, "judge"), "generate")

    async def __call__(self, row: Asked, ctx: Context) -> list[Improved] | Drop:
        """Extend one conversation of the generator; the reviewer sees one answer at a time."""
        asked = question(row["instruction"], row.get("input"))
        greedy = Sampling(0.0, 1.0, self.sampling.max_tokens)
        chat, answers, reviews = [user(asked)], list[str](), list[str]()
        gens = list[Gen]()
        while True:
            reply = await complete(ctx.llm("generator"), chat, self.sampling)
            if isinstance(reply, Drop):
                return reply
            text = unannounced(reply.text) if answers else reply.text.strip()
            if code := "refusal" if detectors.declines(reply.text) else non_answer(text):
                return Drop(code, reply.text)
            answers.append(text)
            gens.append(reply.gen)
            if len(answers) == self.answers:
                break
            ask = [user(REVIEW.format(asked=asked, answer=text))]
            asks = (complete(ctx.llm(name), ask, greedy) for name in self.reviewers)
            found = await asyncio.gather(*asks)
            if bad := next((one for one in found if isinstance(one, Drop)), None):
                return bad
            said = (one.text.strip() for one in found if isinstance(one, Completion))
            reviews.append("\n\n".join(said))
            if mark := leak(reviews[-1], MARKS):
                return Drop("template_leak", f"{mark}: {reviews[-1]}")
            mine = Message(role="assistant", content=text)
            chat = [*chat, mine, user(REVISE.format(review=reviews[-1]))]
        if repeats(words(answers[-1]), words(answers[0])):
            return Drop("no_gain", answers[-1])
        return await self._ranked(asked, answers, reviews, gens, ctx)

    async def _ranked(
        self, asked: str, answers: list[str], reviews: list[str], gens: list[Gen], ctx: Context
    ) -> list[Improved] | Drop:
        """Score the first and the last answer together; the evaluator decides which is chosen."""
        order = 1 if ctx.rng.random() < 0.5 else -1
        first, second = (answers[0], answers[-1])[::order]
        prompt = COMBINED.format(top=10, asked=asked, first=first, second=second)
        chat, how, llm = [user(prompt)], Sampling(0.0, 1.0, 1024), ctx.llm("judge")
        reply = await complete(llm, chat, how)
        if isinstance(reply, Drop):
            return reply
        if (scores := both_scores(reply.text, 10)) is None:
            said = Message(role="assistant", content=reply.text)
            reply = await complete(llm, [*chat, said, user(FINAL.format(top=10))], how)
            if isinstance(reply, Drop):
                return reply
            scores = both_scores(reply.text, 10)
        if scores is None:
            return Drop("unparsed_judge", reply.text)
        if scores[0] == scores[1]:
            return Drop("tie", f"both {scores[0]:g}")
        scores = scores if order == 1 else (scores[1], scores[0])
        writers = (f"answer {len(answers)}", "answer 1")
        last_wins = scores[1] > scores[0]
        better, worse = (answers[-1], answers[0]) if last_wins else (answers[0], answers[-1])
        gap = abs(scores[1] - scores[0])
        made = pair(asked, better, worse, gap, writers if last_wins else writers[::-1])
        gen = gens[-1] if last_wins else gens[0]
        return [{**made, "gen": gen, "answers": answers, "reviews": reviews, "scores": [*scores]}]
