"""Calibration: how well prompts do on samples, which one is best, and when to stop looking.

Source: Levi et al., "Intent-based Prompt Calibration: Enhancing prompt optimization with synthetic
boundary cases", arXiv:2402.03099, sections 2 and 3; `Eladlev/AutoPrompt` (Apache-2.0).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, Field

from gristmill.text.words import words

CUES = ("label", "answer", "class", "category")
NONE = "none of them"
"""What is said of a sample that no label fits."""
STYLE, HISTORY, MIN_GAIN = 3, 4, 0.01  # texts shown for their style; earlier prompts; of a score
Flaw = Literal["unparsed_label", "discarded", "repeated", "tells_label"]


class Samples(BaseModel):
    """What a reply with samples holds."""

    samples: list[str]


class Prompt(BaseModel):
    """What a reply with a prompt holds."""

    prompt: str = Field(pattern=r"\S")
    score: float


@dataclass(frozen=True, slots=True)
class Sample:
    """A text to classify, with what counts as right."""

    text: str
    label: str
    is_shown: bool
    """Whether its errors are told to whoever writes prompts; those of the others only count."""
    batch: int
    """Step (from 0) that asked for it."""


@dataclass(frozen=True, slots=True)
class Step:
    """A prompt, and what it made of every sample there was; None is a reply without a label."""

    prompt: str
    samples: Sequence[Sample]
    said: Sequence[str | None]

    @property
    def score(self) -> float:
        """Share (0..1) of the samples that it reads right."""
        pairs = zip(self.samples, self.said, strict=True)
        return sum(sample.label == said for sample, said in pairs) / len(self.samples)

    def errors(self, per_label: int) -> str:
        """Return the newest errors that may be shown, a few per label."""
        lines, counts = list[str](), Counter[str]()
        for sample, said in reversed([*zip(self.samples, self.said, strict=True)]):
            if sample.is_shown and said != sample.label and counts[sample.label] < per_label:
                counts[sample.label] += 1
                lines.append(f"- {sample.text}\n  right: {sample.label}; read as: {said}")
        return "\n".join(lines) or "(none)"

    def confusion(self) -> str:
        """Return how often each label was read as which."""
        pairs = zip(self.samples, self.said, strict=True)
        counts = Counter(f"- {sample.label} read as {said}" for sample, said in pairs)
        return "\n".join(f"{line}: {counts[line]}" for line in sorted(counts))


@dataclass(slots=True)
class Calibration:
    """The samples of one task, and the prompts that were tried on them."""

    labels: Sequence[str]
    warm_up: int
    """Steps at the beginning, of few samples, whose scores are not compared."""
    samples: list[Sample] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def add(self, text: str, label: str | None) -> Flaw | None:
        """Add a sample, or say what is wrong: no label, an old text, or one with "Label: spam"."""
        if label not in self.labels:
            return "discarded" if label == NONE else "unparsed_label"
        said = words(text)
        if not said or any(words(sample.text) == said for sample in self.samples):
            return "repeated"
        told = (f" {cue} {' '.join(words(one))} " for cue in CUES for one in self.labels)
        if any(one in f" {' '.join(said)} " for one in told):
            return "tells_label"
        is_shown = len(self.samples) % 5 < 4
        self.samples.append(Sample(text, str(label), is_shown, len(self.steps)))
        return None

    def try_on(self, prompt: str, said: Sequence[str | None]) -> None:
        """Add a step: what a prompt made of all samples."""
        self.steps.append(Step(prompt, [*self.samples], said))

    def is_new(self, prompt: str) -> bool:
        """Say whether a prompt has other words than all that were tried."""
        return all(words(step.prompt) != words(prompt) for step in self.steps)

    def texts(self) -> list[str]:
        """Return those of all samples."""
        return [sample.text for sample in self.samples]

    def balance(self) -> str:
        """Return how many samples each label has, and the newest ones that may be shown."""
        counts = Counter(sample.label for sample in self.samples)
        lines = [f"{label}: {counts[label]}" for label in self.labels]
        return "\n".join(lines + [f"- {one.text}" for one in self.samples if one.is_shown][-STYLE:])

    def earlier(self, per_label: int) -> str:
        """Return the prompts to learn from, with scores and errors.

        They are the last ones, or at every third step after the warm-up the best ones, best last.
        """
        steps = self.steps
        if len(steps) >= self.warm_up and not len(steps) % 3:
            steps = sorted(steps[self.warm_up - 1 :], key=lambda step: step.score)
        lines = (
            f"Score {step.score:.2f}: {step.prompt}\n{step.errors(per_label)}"
            for step in steps[-HISTORY:]
        )
        return "\n\n".join(lines) or "(none)"

    def best(self) -> Step:
        """Return the best step from the end of the warm-up on; of equals the first."""
        start = min(self.warm_up, len(self.steps)) - 1
        return max(self.steps[start:], key=lambda step: step.score)

    def flat_steps(self) -> int:
        """Return how many steps in a row, up to the last, did not beat the best before by 0.01."""
        run, scores = 0, [step.score for step in self.steps]
        for n in range(self.warm_up, len(scores)):
            before = max(scores[self.warm_up - 1 : n])
            run = run + 1 if scores[n] < before + MIN_GAIN - 1e-9 else 0
        return run


def label_in(text: str, labels: Sequence[str]) -> str | None:
    """Return the label that a reply's first line is, whatever its case and marks, or None."""
    line = next(iter(text.strip().splitlines()), "").strip()
    said = words(line)
    same = (one for one in labels if one == line or (said and words(one) == said))
    return next(same, None)
