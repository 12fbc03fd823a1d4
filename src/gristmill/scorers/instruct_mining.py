"""InstructMining: the loss that a row promises, predicted by a line over cheap indicators.

Source: Cao et al., "Instruction Mining", arXiv:2307.06290. Version 3: 0.0274 - 0.0078 reward
+ 0.4421 understandability - 0.3212 naturalness - 0.1520 coherence; version 1: 1.0694 - 0.1498
reward + 0.00008257 length - 0.9350 distance to the sixth neighbour. Both predict the logarithm of
the loss after tuning. The coefficients are those of secondary accounts: no code was found.
Differs from the paper: the indicators are read from columns, because their models (a reward model,
the dialogue evaluator of UniEval) are not at hand here; the line holds for those models alone, so
with others fit it again (`fit`, ordinary least squares over means of random subsets) and give
`coefficients`. The score is the negative of the prediction, so that higher is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import Any, Literal, TypedDict

import numpy as np
from pydantic import Field

from gristmill.pipelines.stage import RowStage

RULES: dict[str, dict[str, float]] = {
    "v1": {"intercept": 1.0694, "reward": -0.1498, "length": 8.257e-5, "knn6": -0.9350},
    "v3": {
        "intercept": 0.0274,
        "reward": -0.0078,
        "understandability": 0.4421,
        "naturalness": -0.3212,
        "coherence": -0.1520,
    },
}


class Promise(TypedDict):
    """What it writes; None where an indicator is missing."""

    score: float | None
    """-log_loss: higher is better."""
    log_loss: float | None
    """Predicted logarithm of the evaluation loss after tuning on rows like this."""
    loss: float | None
    """exp(log_loss)."""


class InstructMining(RowStage):
    """Add up the indicators of a row by the rule."""

    rule: Literal["v1", "v3"] = "v3"
    """Which published line. Never use understandability alone: its sign comes from the others."""
    columns: tuple[tuple[str, str], ...] = ()
    """Pairs (indicator, column) where a column has another name than its indicator: length in
    tokens, such as `scores.perplexity.n_scored`; knn6 in the paper's embedding space."""
    coefficients: tuple[tuple[str, float], ...] = ()
    """Pairs (indicator or `intercept`, number) of a line of your own, instead of the rule's."""
    bounds: tuple[tuple[str, float, float], ...] = Field(default=())
    """Triples (indicator, least, most) that values are held at: the line was fitted on means, so
    single rows far out extrapolate. The 1st and 99th percentile of your table."""

    @property
    def line(self) -> dict[str, float]:
        """The coefficients that count."""
        return dict(self.coefficients) or RULES[self.rule]

    @property
    def sources(self) -> dict[str, str]:
        """The column of every indicator."""
        named = dict(self.columns)
        return {name: named.get(name, name) for name in self.line if name != "intercept"}

    def reads(self) -> frozenset[str]:
        """The columns of the indicators."""
        return frozenset(self.sources.values())

    def __call__(self, row: dict[str, Any]) -> Promise:
        """Add up; what is missing is not 0."""
        total = self.line.get("intercept", 0.0)
        held = {name: (least, most) for name, least, most in self.bounds}
        for name, column in self.sources.items():
            value = row[column]
            if value is None:
                return {"score": None, "log_loss": None, "loss": None}
            least, most = held.get(name, (value, value))
            total += self.line[name] * min(max(value, least), most)
        return {"score": -total, "log_loss": total, "loss": exp(min(total, 700.0))}


def fit(means: Sequence[dict[str, float]], log_losses: Sequence[float]) -> dict[str, float]:
    """Return coefficients from the indicators' means and the log loss of every subset.

    ValueError where there are not more subsets than coefficients, or indicators move together.
    """
    names = list(means[0]) if means else []
    table = np.array([[1.0, *(mean[name] for name in names)] for mean in means], np.float64)
    if len(means) <= len(names) + 1 or np.linalg.matrix_rank(table) <= len(names):
        raise ValueError(
            f"{len(means)} subsets cannot tell {len(names)} indicators and an intercept apart; "
            "tune on more subsets (the paper has over 50), or leave out one that moves with others"
        )
    solved = np.linalg.lstsq(table, np.array(log_losses, np.float64), rcond=None)[0]
    return dict(zip(["intercept", *names], solved.tolist(), strict=True))
