"""Training dynamics: how confident a model grows of a row while it is trained on all of them.

Source: Xiao et al., "SFTMix", arXiv:2410.05248: confidence is the negative mean, over checkpoints,
of the response's perplexity; the more confident half and the other are mixed in training.
Differs from the paper: no code was published. The reference model is `engines.trainer`'s, its
checkpoints are the trainer's; a perplexity counts as 10,000 at most, because one exploding
checkpoint would decide the mean; of an odd number the middle row is not confident; pairs of like
length, one of each half, are ours, so that cutting to the shorter wastes little.
Confidence is no quality: the less confident half is not to be dropped.
"""

from __future__ import annotations

from collections import defaultdict
from math import exp, log
from random import Random
from typing import Annotated, Any, ClassVar, Literal, NotRequired, TypedDict

import pyarrow as pa

from gristmill.engines.passes import BothSides
from gristmill.engines.requests import Op
from gristmill.engines.training import pair
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import TableStage, decisions
from gristmill.text.turns import Turn, turns

MOST = 1e4
NEAR = 16
"""Rows of like length among which partners are drawn."""


class Answered(TypedDict):
    """What it reads."""

    instruction: NotRequired[str | None]
    input: NotRequired[str | None]
    output: NotRequired[str | None]
    messages: NotRequired[list[Turn] | None]


class Dynamics(TypedDict):
    """What it writes; None where nothing could be scored."""

    confidence: float | None
    """-10,000..-1, higher is more confident."""
    half: Literal["confident", "unconfident"] | None
    """The side of the median."""
    partner: str | None
    """Id of the row of the other half to mix with; one row of an odd number has none."""
    ppl: list[float] | None
    """Perplexity at every checkpoint, so that another split can be taken."""


class TrainingDynamics(BothSides, TableStage):
    """Train on all rows and read their losses; no row leaves. O(n log n) besides the training."""

    codes: ClassVar[frozenset[str]] = frozenset()

    def needs(self) -> dict[str, Op]:
        """Set the trainer's `checkpoints`; the paper trains for 3 epochs."""
        return {"trainer": "train"}

    async def decide(
        self, table: Annotated[pa.Table, Answered], ctx: Context
    ) -> Annotated[pa.Table, Dynamics]:
        """(n, 5) -> (n, 7); of a conversation the last answer is trained and scored."""
        made = (pair(row["id"], turns(row)) for row in table.to_pylist())
        pairs = [found for found in made if found is not None]
        ppl = defaultdict[str, list[float]](list)
        if pairs:
            trained = await ctx.trainer.train(pairs)
            lines = sorted(trained.losses.to_pylist(), key=lambda line: line["checkpoint"])
            for line in lines:
                if line["checkpoint"] and line["nll"] is not None:  # 0 is before any training
                    ppl[line["id"]].append(exp(min(line["nll"], log(MOST))))
        found = {id_: -sum(values) / len(values) for id_, values in ppl.items()}
        first, second = halves(found)
        sizes = {one.id: len(one.response) for one in pairs}
        partners = partner(first, second, sizes, ctx.rng)
        half = dict.fromkeys(first, "confident") | dict.fromkeys(second, "unconfident")
        columns: dict[str, Any] = {"confidence": found, "half": half, "partner": partners}
        ids = table["id"].to_pylist()
        kinds = self.writes()
        told = {
            name: pa.array([values.get(id_) for id_ in ids], kinds[name])
            for name, values in (columns | {"ppl": ppl}).items()
        }
        return decisions(table, [True] * len(table), "", **told)


def halves(confidence: dict[str, float]) -> tuple[list[str], list[str]]:
    """Split ids at the median, the most confident first; equal ones are ordered by id."""
    order = sorted(confidence, key=lambda id_: (-confidence[id_], id_))
    return order[: len(order) // 2], order[len(order) // 2 :]


def partner(
    first: list[str], second: list[str], sizes: dict[str, int], rng: Random
) -> dict[str, str]:
    """Pair ids of two halves by length, by chance among the next ones; both ways."""
    drawn = []
    for half in (first, second):
        order = sorted(half, key=lambda id_: (sizes[id_], id_))
        parts = [order[i : i + NEAR] for i in range(0, len(order), NEAR)]
        drawn.append([id_ for part in parts for id_ in rng.sample(part, len(part))])
    pairs = list(zip(*drawn, strict=False))
    return dict(pairs) | {b: a for a, b in pairs}
