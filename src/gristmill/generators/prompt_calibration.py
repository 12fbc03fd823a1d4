"""Intent-based prompt calibration: boundary cases of a task improve its prompt, step by step.

Source: Levi et al., "Intent-based Prompt Calibration: Enhancing prompt optimization with synthetic
boundary cases", arXiv:2402.03099, sections 2 and 3; `Eladlev/AutoPrompt` (Apache-2.0).
Differs from the paper: our own prompts; only tasks with labels, such as 1 to 5, and no generator
that is scored; every fifth sample's errors are not shown; equal samples leave, not those alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Completion, Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete, fill
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.calibration import NONE, Calibration, Prompt, Samples, label_in
from gristmill.text.turns import user

CLASSIFY = "{prompt}\n\nReply with the label alone: {labels}.\n\n### Text\n{text}\n\n### Label\n"
WRITE = """Write texts that are hard to classify: realistic, each of another kind, as many of each \
label as of any other, and near the border between labels. Never name the label in a text. Where \
prompts and failures are shown, aim at those weaknesses and at new ones of the new prompt. Keep to \
the style of the texts so far. Reply with a JSON object of {n} texts: {{"samples": [...]}}."""
ANALYSE = """Say in less than 200 words why a prompt fails: what its errors have in common, label \
by label. The labels called right are right."""
IMPROVE = """Write a better prompt for a task, and predict its score. It is a clear instruction to \
somebody who reads one text, and unlike every prompt below. Reply with a JSON object: \
{"prompt": "...", "score": 0.9}."""


class Task(TypedDict):
    """What it reads: `instruction` is the first prompt, `description` what is meant by it."""

    instruction: str
    description: str
    labels: list[str]


class Case(TypedDict):
    """What it writes: a boundary case under the best prompt, which read it as `prediction`."""

    instruction: str
    input: str
    output: str
    gen: Gen
    prediction: str | None
    batch: int
    """Step (from 0) whose prompt it was written against."""
    score: float
    """Of the best prompt (0..1), on the samples of its step."""
    steps: int


class PromptCalibration(RowStage):
    """Write cases, try the prompt on all of them, write a better one, until none comes."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {
        "few_labels", "no_prompt", "discarded", "unparsed_label", "repeated", "tells_label"
    }  # fmt: skip

    samples: int = Field(default=10, ge=1)
    """Asked for in a step, until there are `max_samples`; of a longer reply the first count."""
    max_samples: int = Field(default=50, ge=1)
    max_steps: int = Field(default=40, ge=1)
    warm_up: int = Field(default=4, ge=1)
    """The first steps have few samples: their scores are not compared."""
    patience: int = Field(default=10, ge=0)
    """Steps in a row without a gain of 0.01 that are borne."""
    meta: Sampling = Sampling(temperature=0.8, max_tokens=2048)
    """For samples, analyses and prompts; labels are greedy."""

    def needs(self) -> dict[str, Op]:
        """An optimizer, the model that the prompt is for, and one that knows what is meant."""
        return dict.fromkeys(("optimizer", "generator", "annotator"), "generate")

    async def __call__(self, row: Task, ctx: Context) -> list[Case | Drop] | Drop:
        """One step after the other; the predictions of a step share its prompt."""
        labels, prompt = row["labels"], row["instruction"]
        if len(labels) < 2 or not prompt.strip():
            return Drop("no_prompt") if len(labels) > 1 else Drop("few_labels", f"{labels}")
        state = Calibration(labels, self.warm_up)
        gens, lost = list[Gen](), list[Case | Drop]()
        while prompt:
            if len(state.samples) < self.max_samples:
                lost += await self._grow(row, prompt, state, gens, ctx)
            if not state.samples:
                return lost or Drop("empty", "no samples")
            said = await _labels(prompt, state.texts(), labels, ctx, "generator")
            state.try_on(prompt, said)
            if state.flat_steps() > self.patience or len(state.steps) == self.max_steps:
                break
            prompt = await self._better(row, state, ctx)
        best = state.best()
        said = await _labels(best.prompt, state.texts(), labels, ctx, "generator")
        return [
            Case(
                instruction=best.prompt, input=sample.text, output=sample.label, gen=gen,
                prediction=one, batch=sample.batch, score=best.score, steps=len(state.steps),
            )
            for sample, gen, one in zip(state.samples, gens, said, strict=True)
        ] + lost  # fmt: skip

    async def _grow(
        self, row: Task, prompt: str, state: Calibration, gens: list[Gen], ctx: Context
    ) -> list[Drop]:
        """Add the samples of a reply that are new and have a label; return the others."""
        rules, shown = WRITE.format(n=self.samples), {"Texts": state.balance()}
        ask = _ask(rules, row, **shown, Prompts=state.earlier(2), New=prompt)
        found = await fill(ctx.llm("optimizer"), ask, self.meta, Samples)
        if isinstance(found, Drop):
            return [found]
        texts = found[0].samples[: self.samples]
        said = await _labels(row["description"], texts, [*row["labels"], NONE], ctx, "annotator")
        flaws = [state.add(text, label) for text, label in zip(texts, said, strict=True)]
        gens += [found[1].gen for flaw in flaws if flaw is None]
        return [Drop(flaw, text) for text, flaw in zip(texts, flaws, strict=True) if flaw]

    async def _better(self, row: Task, state: Calibration, ctx: Context) -> str:
        """Return a prompt unlike all before; "" where two replies hold none."""
        last, llm = state.steps[-1], ctx.llm("optimizer")
        told = {"Prompt": last.prompt, "Reading": last.confusion(), "Failures": last.errors(4)}
        why = await complete(llm, _ask(ANALYSE, row, **told), self.meta)
        analysis = why.text if isinstance(why, Completion) else last.confusion()
        ask = _ask(IMPROVE, row, Prompts=state.earlier(1), Analysis=analysis)
        for _ in range(2):
            found = await fill(llm, ask, self.meta, Prompt)
            if not isinstance(found, Drop) and state.is_new(found[0].prompt):
                return found[0].prompt
        return ""


async def _labels(
    rule: str, texts: Sequence[str], labels: Sequence[str], ctx: Context, role: str
) -> list[str | None]:
    """Return the label that a model gives each text under a rule; None is no label."""
    llm, how = ctx.llm(role), Sampling(0.0, 1.0, 32)
    asks = (CLASSIFY.format(prompt=rule, labels=", ".join(labels), text=text) for text in texts)
    said = await asyncio.gather(*(complete(llm, [user(a)], how, tuple(labels)) for a in asks))
    return [None if isinstance(one, Drop) else label_in(one.text, labels) for one in said]


def _ask(rules: str, row: Task, **parts: str) -> list[Message]:
    told = {"Task": row["description"], **parts}
    return [user(rules + "".join(f"\n\n### {name}\n{part}" for name, part in told.items()))]
