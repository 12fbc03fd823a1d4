"""What a training goes through: pairs as ids, and how wrongly the model ranks their candidates.

Source of the second: the loss of RTLCoder (arXiv:2312.08617), with which ITERTL (arXiv:2407.12022)
trains: (ranking loss + 1) times the loss of the reference. Ours is a mean over a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gristmill.engines.reader import Span
from gristmill.engines.training import Pair
from gristmill.geometry.ranking_loss import GAP, MARGIN, NEAR


@dataclass(frozen=True, slots=True)
class Lesson:
    """A pair as ids."""

    pair: Pair
    scored: Span
    trained: Span
    """The scored one and the ids that close the answer, where the answer is there to its end."""
    ranked: list[tuple[Span, float]]
    """Candidates that can be read, each with its score."""

    @property
    def spans(self) -> list[Span]:
        """All that the model reads to learn from it."""
        return [self.trained, *(span for span, _ in self.ranked)]

    @property
    def n_read(self) -> int:
        """Ids of one pass, padding included: candidates are compared, so none comes alone."""
        return len(self.spans) * max(len(span.ids) for span in self.spans)

    @property
    def weights(self) -> list[float]:
        """Of every token in the loss of the pair alone."""
        n_trained, *others = [len(span.ids) - span.start for span in self.spans]
        return [self.pair.weight] * n_trained + [0.0] * sum(others)


def ranked_wrongly(lessons: Sequence[Lesson], found: Any) -> Any:
    """Return the sum of `ranking_loss` times the loss of the pair; 0 where nothing is ranked.

    `found` has the log-probs of all spans of the lessons, (tokens,), and carries gradients.
    """
    import torch

    total: Any = 0.0
    lengths = [len(span.ids) - span.start for lesson in lessons for span in lesson.spans]
    values = iter(found.split(lengths))
    for lesson in lessons:
        nll = -lesson.pair.weight * next(values).sum()
        means = [next(values).mean() for _ in lesson.ranked]
        if len(means) > 1:
            shares = torch.stack(means).softmax(0)
            scores = torch.tensor([score for _, score in lesson.ranked], dtype=torch.float64)
            counts = (scores[None, :] - scores[:, None] > GAP + NEAR).to(shares.device)
            short = (MARGIN - (shares[None, :] - shares[:, None])).clamp(min=0)
            total = total + short[counts].sum() * nll
    return total
