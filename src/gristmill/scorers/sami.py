"""SAMI's loss of a pair: how well each answer fits its own constitution better than the other.

Source: Fränken et al., "Self-Supervised Alignment with Mutual Information", arXiv:2404.14313,
section 3: the mean log-probs of every answer after every prompt, rows and columns of that matrix
against the identity. `generators.sami` makes the pairs.
Differs from the paper: it is measured with one model, to select or to stop by, and trains nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import exp, log
from typing import Annotated, ClassVar, Literal, TypedDict

import pyarrow as pa

from gristmill.engines.requests import Message, Op
from gristmill.errors import PromptRefused, PromptTooLong
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import TableStage, decisions


class Fit(TypedDict):
    """What it writes, the same for all siblings; None where a pass could not be made."""

    loss: float | None
    """Nats, 0 or more: ln n where the n answers fit all prompts alike; lower fits better."""


class Sami(TableStage):
    """Score every sibling's answer after every sibling's prompt."""

    scope: ClassVar[Literal["table", "siblings"]] = "siblings"

    def needs(self) -> dict[str, Op]:
        """The model that is aligned."""
        return {"scorer": "score"}

    def reads(self) -> frozenset[str]:
        """Prompt and answer."""
        return frozenset({"instruction", "output"})

    async def decide(self, table: pa.Table, ctx: Context) -> Annotated[pa.Table, Fit]:
        """(n, 3) -> (n, 5): every row stays; n * n passes."""
        prompts, answers = table["instruction"].to_pylist(), table["output"].to_pylist()
        llm, n = ctx.llm("scorer"), len(table)
        chats: list[list[Message]] = [[{"role": "user", "content": text}] for text in prompts]
        try:
            found = await asyncio.gather(*(llm.score(c, a or "") for c in chats for a in answers))
            means = [one.mean_nll for one in found]
        except (PromptTooLong, PromptRefused):
            means = [None]
        loss = None
        if n > 1 and all(mean is not None for mean in means):
            fits = [-mean for mean in means if mean is not None]
            loss = contrast([fits[i * n : i * n + n] for i in range(n)])
        return decisions(table, [True] * n, "", loss=pa.array([loss] * n, pa.float64()))


def contrast(fits: Sequence[Sequence[float]]) -> float:
    """Return the mean of row-wise and column-wise cross-entropy against the identity, in nats."""
    columns = list(zip(*fits, strict=True))
    return (_cross_entropy(fits) + _cross_entropy(columns)) / 2


def _cross_entropy(fits: Sequence[Sequence[float]]) -> float:
    losses = [log(sum(exp(one - row[i]) for one in row)) for i, row in enumerate(fits)]
    return sum(losses) / len(losses)
