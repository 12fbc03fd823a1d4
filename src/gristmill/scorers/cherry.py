"""Cherry: IFD by a model that first learned from a few rows of every kind.

Source: Li et al., "From Quantity to Quality" (Cherry_LLM), arXiv:2308.12032, section 2: cluster the
prompts, take some of middling perplexity from each, train for one epoch on them, and score all rows
with the outcome: the loss of the response given its prompt, divided by the loss without.
Differs from the code: vectors come from an encoder, not from the model's hidden states; perplexity
of the prompt is a column (`scorers.ic_ifd`), so it is the untuned model's as there. Losses with and
without the prompt must cover the same tokens: let rows that do not fit leave before, by the flags
of a scorer with the trainer's template and window. Of a conversation the last answer is scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp
from typing import Annotated, Any, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.engines.training import Pair, Trained, Trains, pair
from gristmill.geometry.k_means import k_means
from gristmill.geometry.picks import Indices, Numbers, by_id, numbers
from gristmill.geometry.vectors import located, unit
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import VectorStage, decisions
from gristmill.text.turns import TEXTS, turns


class Tuned(TypedDict):
    """What it writes; None where nothing could be scored."""

    loss: float | None
    """nll_cond / nll_uncond: above 1 the prompt does not help. Cherry keeps the highest below."""
    ppl: float | None
    """exp(nll_cond - nll_uncond): Superfiltering's form, another order."""
    nll_cond: float | None
    """Nats per response token, given the prompt."""
    nll_uncond: float | None
    """Nats per response token after the response header alone."""
    is_experience: bool
    """Whether the model was trained on it."""


class Cherry(Trains, VectorStage):
    """Choose, train once, score all; no row leaves. O(n c d) for c clusters and the training."""

    codes: ClassVar[frozenset[str]] = frozenset()

    prompt_nll: str = Field(default="scores.ic_ifd.nll_prompt", pattern=r"^\w+(\.\w+)*$")
    """Column with the loss of the prompt."""
    clusters: int = Field(default=100, ge=1)
    """The authors' code's."""
    per_cluster: int = Field(default=10, ge=1)
    """Rows of a cluster that are trained on; a smaller cluster is taken whole."""
    seed: int = 0
    """Of the clusters and the training."""

    def reads(self) -> frozenset[str]:
        """The columns are parameters."""
        return super().reads() | TEXTS | {self.prompt_nll}

    async def decide(self, table: pa.Table, ctx: Context) -> Annotated[pa.Table, Tuned]:
        """(n, 7) -> (n, 9)."""
        ids = table["id"].to_pylist()
        rows = table.drop_columns([self.column]).to_pylist()
        pairs = [pair(row["id"], turns(row)) for row in rows]
        points, order = located(table, self.column)
        there = np.array([pairs[place] is not None for place in order], bool)
        points, order = unit(points[there]), order[there]
        of = k_means(points, self.clusters, seed=self.seed).of if len(order) else order
        rank = np.argsort(by_id(table), kind="stable")
        chosen = experience(of, numbers(table[self.prompt_nll])[order], rank[order],
                            self.per_cluster)  # fmt: skip
        trained_on = [found for place in order[chosen] if (found := pairs[place])]
        asked = [Pair(f"{found.id}/{side}", context, found.response) for found in pairs if found
                 for side, context in (("q", found.context), ("a", []))]  # fmt: skip
        losses: Mapping[str, float | None] = {}
        if trained_on:
            losses = last_losses(await ctx.trainer.train(trained_on, asked, self.seed))
        names = {found.id for found in trained_on}
        made = [_form(losses.get(f"{id_}/q"), losses.get(f"{id_}/a")) for id_ in ids]
        kinds = self.writes()
        columns: dict[str, Any] = {
            name: pa.array([line[name] for line in made], kinds[name])
            for name in ("loss", "ppl", "nll_cond", "nll_uncond")
        }
        columns["is_experience"] = pa.array([id_ in names for id_ in ids], pa.bool_())
        return decisions(table, [True] * len(table), "", **columns)


def experience(of: Indices, nll: Numbers, rank: Indices, per_cluster: int) -> Indices:
    """Return the places to train on: of every cluster some in the middle half by prompt loss.

    (n,) clusters, (n,) losses, (n,) order of ids -> (m,), spread evenly over that order. Rows
    without a loss count in no cluster.
    """
    found = list[int]()
    for cluster in np.unique(of):
        members = np.flatnonzero((of == cluster) & ~np.isnan(nll))
        members = members[np.argsort(rank[members], kind="stable")]
        if len(members) >= per_cluster:
            low, high = np.quantile(nll[members], [0.25, 0.75])
            middle = members[(nll[members] >= low) & (nll[members] <= high)]
            members = middle[:: max(1, len(middle) // per_cluster)][:per_cluster]
        found += members.tolist()
    return np.array(found, np.int64)


def last_losses(trained: Trained) -> dict[str, float | None]:
    """Return the loss of every pair after the training."""
    lines = trained.losses.to_pylist()
    last = max(line["checkpoint"] for line in lines)
    return {line["id"]: line["nll"] for line in lines if line["checkpoint"] == last}


def _form(cond: float | None, uncond: float | None) -> dict[str, float | None]:
    if cond is None or uncond is None:
        return dict.fromkeys(("loss", "ppl", "nll_cond", "nll_uncond"))
    loss = cond / uncond if uncond else None
    ppl = exp(min(cond - uncond, 700.0))  # exp of more is no float
    return {"loss": loss, "ppl": ppl, "nll_cond": cond, "nll_uncond": uncond}
