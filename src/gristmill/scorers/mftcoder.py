"""Weights that let every task count the same in a training on several, however long its rows.

Source: Liu et al., "MFTCoder", arXiv:2311.02303, section 3, and the loss functions of its code.
With N tokens, R rows and K tasks, a token of a row of length T in a task weighs 1 / N (`token`),
1 / (R T) (`row`), 1 / (K times the task's tokens) (`task_token`, the recommended one) or
1 / (K T times the task's rows) (`task_row`).
Differs from the paper: its sums are those of a batch, ours those of the table, rescaled to a mean
of 1 per token; a trainer must add up weighted losses and divide by tokens. Weights that follow the
losses during the training (CoBa) are no data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.pipelines.stage import TableStage, decisions

Balance = Literal["token", "row", "task_token", "task_row"]
MOST = 10.0
"""Times the mean that a token may weigh: a task of a few tokens would drown the others."""


class Weight(TypedDict):
    """What it writes; None where the task or the length is missing."""

    token: float | None
    """Above 0, at most 10: the weight of each response token in the loss; the mean is 1."""
    share: float | None
    """0..1: the row's part in the loss of an epoch, before weights are held at 10."""


class Mftcoder(TableStage):
    """Weigh the tokens of every row; no row leaves. O(n)."""

    codes: ClassVar[frozenset[str]] = frozenset()

    balance: Balance = "task_token"
    """Who counts the same as another."""
    task: str = Field(default="source", pattern=r"^\w+(\.\w+)*$")
    """The column that names the task."""
    tokens: str = Field(default="scores.perplexity.n_scored", pattern=r"^\w+(\.\w+)*$")
    """The column with the number of response tokens; one is added, for the end of the answer."""

    def reads(self) -> frozenset[str]:
        """The columns depend on the parameters."""
        return frozenset({self.task, self.tokens})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Weight]:
        """(n, 3) -> (n, 6)."""
        tasks, lengths = table[self.task].to_pylist(), table[self.tokens].to_pylist()
        there = [i for i in range(len(table)) if tasks[i] is not None and lengths[i]]
        sizes = [lengths[i] + 1 for i in there]
        found = token_weights([tasks[i] for i in there], sizes, self.balance)
        token: list[float | None] = [None] * len(table)
        share: list[float | None] = [None] * len(table)
        for i, weight, size in zip(there, found, sizes, strict=True):
            token[i], share[i] = min(MOST, weight * sum(sizes)), weight * size
        kinds = {"token": pa.array(token, pa.float64()), "share": pa.array(share, pa.float64())}
        return decisions(table, [True] * len(table), "", **kinds)


def token_weights(tasks: Sequence[str], lengths: Sequence[int], balance: Balance) -> list[float]:
    """Return the weight of a token of each row; over all tokens of all rows they sum to 1."""
    rows, tokens = Counter(tasks), Counter[str]()
    for task, length in zip(tasks, lengths, strict=True):
        tokens[task] += length
    pairs = list(zip(tasks, lengths, strict=True))
    match balance:
        case "token":
            return [1 / tokens.total() for _ in pairs]
        case "row":
            return [1 / (len(pairs) * length) for _, length in pairs]
        case "task_token":
            return [1 / (len(rows) * tokens[task]) for task, _ in pairs]
        case "task_row":
            return [1 / (len(rows) * rows[task] * length) for task, length in pairs]
