"""Informative seeds: rows with rare labels, several labels or a high loss, not those soon learned.

Source: Li et al., "Infinity Instruct", arXiv:2506.11116 (phase 2): of 9 million labelled
instructions 1.2 million are seeds to evolve. A label that 20 to 200 rows have keeps them, one that
up to 500 have a third; a row whose loss falls too far in training is left out.
"InfinityInstruct-Subject", arXiv:2507.06968: five labels (`several`), a loss of 1.96 standard
deviations above the mean (`deviations`), and the 50,000 rows whose loss falls least (`hardest`).
Differs from the papers: known from accounts of them. The parts are joined as a union whose reasons
are told; the other numbers are our own.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Annotated, Any, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from gristmill.geometry.picks import Numbers, best_first, by_id, chances, numbers, picked
from gristmill.pipelines.stage import TableStage
from gristmill.storage.rows import TEXT

log = logging.getLogger(__name__)
PATH = r"^\w+(\.\w+)*$"


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 has the most reasons, and of those the highest loss; None was not picked."""
    reasons: list[str]
    """Of `long_tail`, `several_labels`, `high_loss` and `hard_to_follow` those that hold."""
    depth: float | None
    """log(labels) times loss: 0 with one label; None without a loss or a label."""


class InfinitySeeds(TableStage):
    """Keep rows with at least one reason; ties go to the lowest id. O(n log n)."""

    codes: ClassVar[frozenset[str]] = frozenset({"not_informative", "soon_learned"})

    by: str = Field(default="labels", pattern=PATH)
    """Column of a label, or of a list of labels."""
    rare: tuple[int, int] = (20, 200)
    """A label that so many rows have, both ends included, keeps them all: fewer are noise."""
    medium: int = Field(default=500, ge=0)
    """A label that more have, up to this number, keeps `medium_rate` of them."""
    medium_rate: float = Field(default=1 / 3, ge=0, le=1)
    """By chance; a row's depends on its root alone, and so is the same in every round."""
    several: int = Field(default=3, ge=1)
    """Different labels of a row that are a reason."""
    loss: str | None = Field(default="scores.perplexity.nll", pattern=PATH)
    """Column of a reference model's loss on the answer; None: loss is no reason."""
    loss_quantile: float = Field(default=0.9, ge=0, le=1)
    """Share of the rows below the loss that is a reason."""
    deviations: float | None = Field(default=None, gt=0)
    """Standard deviations above the mean from which on a loss is a reason; None: the quantile."""
    after: str | None = Field(default=None, pattern=PATH)
    """Column of the loss of the same model after tuning on the rows."""
    fall: float = Field(default=1.0, ge=0)
    """`loss` minus `after`, above which a row leaves: it is learned by heart."""
    hardest: int = Field(default=0, ge=0)
    """Rows whose loss falls least, for which that is a reason."""
    seed: int = 0
    """Of the chance."""

    def reads(self) -> frozenset[str]:
        """The columns are parameters."""
        return frozenset({"root", self.by, *(name for name in (self.loss, self.after) if name)})

    def optional(self) -> frozenset[str]:
        """A table of your own has no roots: ids stand for them."""
        return frozenset({"root"})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 5) -> (n, 7); what is null is no reason."""
        n = len(table)
        loss = numbers(table[self.loss]) if self.loss else np.full(n, np.nan)
        after = numbers(table[self.after]) if self.after else np.full(n, np.nan)
        labels = [_labels(value) for value in table[self.by].to_pylist()]
        reasons = self._reasons(table, labels, loss, after)
        learned = loss - after > self.fall
        chosen = np.array([bool(found) for found in reasons], bool) & ~learned
        many = np.array([len(found) for found in reasons], np.float64)
        order = by_id(table)
        order = order[np.argsort(-np.nan_to_num(loss)[order], kind="stable")]
        picks = best_first(np.where(chosen, many, np.nan), order)
        log.info("rows=%d kept=%d reasons=%s", n, len(picks), Counter(map(tuple, reasons)))
        told: dict[str, Any] = {
            "not_informative": "no rare label, few labels, no high loss",
            "soon_learned": [f"{drop:.3g} > {self.fall:g}" for drop in loss - after],
        }
        codes = np.where(learned, "soon_learned", "not_informative")
        n_labels = np.array([len(names) or np.nan for names in labels], np.float64)
        why = pa.array(reasons, pa.list_(pa.string()))
        return picked(table, picks, codes, told, reasons=why, depth=np.log(n_labels) * loss)

    def _reasons(
        self, table: pa.Table, labels: list[set[str]], loss: Numbers, after: Numbers
    ) -> list[list[str]]:
        often = Counter(label for names in labels for label in names)
        is_drawn = chances(_rooted(table), self.seed) < self.medium_rate
        bound, made = self._bound(loss[~np.isnan(loss)]), list[list[str]]()
        hardest = {*best_first(after - loss, by_id(table))[: self.hardest].tolist()}
        for i, names in enumerate(labels):
            holds = {
                "long_tail": any(self._keeps(often[x], is_drawn=is_drawn[i]) for x in names),
                "several_labels": len(names) >= self.several,
                "high_loss": bool(loss[i] >= bound),
                "hard_to_follow": i in hardest,
            }
            made.append([reason for reason, is_so in holds.items() if is_so])
        return made

    def _bound(self, there: Numbers) -> float:
        """Return the loss from which on it is a reason."""
        if not len(there):
            return float("inf")
        if self.deviations is not None:
            return float(there.mean() + self.deviations * there.std())
        return float(np.quantile(there, self.loss_quantile, method="higher"))

    def _keeps(self, n: int, *, is_drawn: bool) -> bool:
        """Say whether a label that `n` rows have keeps one of them."""
        least, most = self.rare
        return least <= n <= most or (most < n <= self.medium and is_drawn)


def _rooted(table: pa.Table) -> pa.Table:
    """Return the table with its roots, where it has them, in the place of its ids."""
    roots = table["root"] if "root" in table.column_names else pa.nulls(len(table), TEXT)
    return pa.table({"id": pc.coalesce(roots, table["id"])})


def _labels(value: Any) -> set[str]:
    values = value if isinstance(value, list) else [value]
    return {str(name) for name in values if name is not None}
