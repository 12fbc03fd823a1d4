"""ToolRefiner: whether a row's functions are found by what was learnt of other rows.

Source: Moon et al., "Efficient and Scalable Estimation of Tool Representations in Vector Space",
arXiv:2409.02141: a multi-label classifier, and a second stage that is trained with binary
cross-entropy on the first places of the first one; `SqueezeAILab/Tool2Vec` (MIT) shows it 64.
Differs from the paper: both are logistic regressions on a sentence encoder's vectors, which stay as
they are, and not encoders that are tuned; every row is ranked by what was learnt without it.
"""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.geometry.picks import drawn
from gristmill.geometry.ranks import is_sufficient, recall
from gristmill.geometry.tool_vectors import Refiner, Uses, classified, nearest
from gristmill.pipelines.context import Context
from gristmill.scorers.tool2vec import Row, Tool2vec


class Refined(TypedDict):
    """What it writes: shares 0..1, higher is better; None for rows without functions."""

    recall: float
    """Of its functions among the first k, as the second stage orders the first places."""
    recall_by_classifier: float
    """The same as the classifier orders all functions."""
    recall_by_use: float
    """The same as Tool2Vec does."""
    sufficient: bool
    """Whether the second stage has all of them: the mean over the rows is Sufficiency@k."""
    tools: list[str]
    """Its first k."""


class ToolRefiner(Tool2vec):
    """Learn of all folds but one, and rank all functions for the rows of that. O(folds n m d)."""

    first: int = Field(default=64, ge=1)
    """Functions that the second stage sees: the nearest by Tool2Vec."""
    folds: int = Field(default=5, ge=2)
    """Parts of the rows, by chance; our choice."""
    seed: int = 0
    """Of the folds: a row's chance depends on it and the row's id alone."""

    async def decide(
        self, table: Annotated[pa.Table, Row], ctx: Context
    ) -> Annotated[pa.Table, Refined]:
        """(n, 4) -> (n, 9); a row without a request or functions has None everywhere."""
        return await super().decide(table, ctx)

    async def _ranked(self, rows: list[dict[str, Any]], ctx: Context) -> list[Any]:
        order = drawn(pa.table({"id": [row["id"] for row in rows]}), self.seed)
        names, known = await self._known([rows[j] for j in order], ctx)
        made: list[Any] = [None] * len(rows)
        of = np.arange(len(rows)) % self.folds
        for fold in range(min(self.folds, len(rows))):
            out = np.flatnonzero(of == fold)
            for j, one in zip(out, self._fold(names, known, of, fold), strict=True):
                made[order[j]] = one
        return made

    def _fold(self, names: list[str], known: Uses, of: Any, fold: int) -> list[Refined]:
        """Rank for the rows of one fold what the others taught."""
        learnt, out = known.of(np.flatnonzero(of != fold)), np.flatnonzero(of == fold)
        refiner, vectors = Refiner(learnt, self.first), learnt.vectors()
        likely, made = classified(learnt, known.asked[out]), list[Refined]()
        for one, j in zip(likely, out, strict=True):
            asked, right = known.asked[j], {*np.flatnonzero(known.uses[:, j]).tolist()}
            near = nearest(asked, vectors, self.first)
            again = refiner.scores(asked, vectors[near], known.told[near])
            best = near[np.argsort(-again, kind="stable")].tolist()
            places = [place for place, i in enumerate(best, 1) if i in right]
            places += [self.k + 1] * (len(right) - len(places))  # what was not near is not found
            ranked = Refined(
                recall=recall(places, self.k),
                recall_by_classifier=_recall(np.argsort(-one, kind="stable"), right, self.k),
                recall_by_use=_recall(near, right, self.k),
                sufficient=is_sufficient(places, self.k),
                tools=[names[i] for i in best[: self.k]],
            )
            made.append(ranked)
        return made


def _recall(best: Any, right: set[int], k: int) -> float:
    return len(right & {*best[:k].tolist()}) / len(right)
