"""PASER: rows that give a pruned model back what it lost, cluster by cluster, without conflicts.

Source: He et al., "PASER: Post-Training Data Selection for Efficient Pruned Large Language Model
Recovery", arXiv:2502.12594: spectral clusters of the instructions; a budget for each by its mean
degradation; inside, the most degradation for the cost; no two concepts that were only seen apart.
Differs from the paper: the degradation is a column, that of the scorer `divergence` (a mean over
tokens of given answers); the cost counts words unless a column has tokens; budgets are shared by
largest remainder, theirs are cut; the most degraded clusters come first. Rows seldom share key
phrases: count the `concept_conflict`s.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.errors import InputError
from gristmill.geometry.picks import Indices, Numbers, best_first, numbers, picked
from gristmill.geometry.quotas import quotas
from gristmill.geometry.spectral import spectral
from gristmill.geometry.vectors import located, unit
from gristmill.pipelines.stage import VectorStage
from gristmill.text.concept_graph import ConceptGraph
from gristmill.text.key_phrases import key_phrases
from gristmill.text.turns import TEXTS, turns
from gristmill.text.words import words

log = logging.getLogger(__name__)
PATH = r"^\w+(\.\w+)*$"


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the first pick, the most degraded cluster first; None was not picked."""
    cluster: int | None
    """Number of the row's cluster."""
    efficiency: float | None
    """degradation / log(cost): higher is better."""


class Paser(VectorStage):
    """Cluster, share the budget, walk. O(n^2 d) for a graph of neighbours.

    With `sample` s it is O(s^2 d + n s d). Eigenvectors take longer than the graph where clusters
    are nearly apart. A budget that conflicts leave unspent is not given to another cluster.
    """

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = frozenset(
        {"not_selected", "concept_conflict", "no_vector", "unscored"}
    )

    k: int = Field(ge=1)
    """Rows to keep; the paper keeps a fifth of Alpaca."""
    degradation: str = Field(default="scores.divergence.score", pattern=PATH)
    """Column of a number, 0 and more: how much worse the pruned model predicts the row."""
    tokens: str | None = Field(default=None, pattern=PATH)
    """Column of the tokens of instruction and response together; None: words are counted."""
    clusters: int | None = Field(default=10, ge=1)
    """10 is the authors' code's; None: as few as describe the table, as in the paper."""
    concepts: int = Field(default=5, ge=0)
    """Key phrases per row; 0: no row is in conflict."""
    concepts_by: str | None = Field(default=None, pattern=PATH)
    """Column with the concepts of a row, a list of names, instead of key phrases."""
    sample: int = Field(default=0, ge=0)
    """0: all rows are clustered, and more than 200,000 refused. Otherwise so many, drawn: each of
    the others joins the cluster of the nearest."""
    seed: int = 0
    """Of the draw and the clusters."""

    def reads(self) -> frozenset[str]:
        """The columns are parameters."""
        given = {name for name in (self.tokens, self.concepts_by) if name}
        return super().reads() | TEXTS | {self.degradation} | given

    def optional(self) -> frozenset[str]:
        """A row may come in several shapes."""
        return TEXTS

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 6) -> (n, 7); rows without a vector, degradation or cost leave with a code."""
        points, order = located(table, self.column)
        rows = table.drop_columns([self.column]).to_pylist()
        value = numbers(table[self.degradation]) / np.log(self._costs(table, rows))
        if (value < 0).any():
            raise InputError(f"{self.degradation} is negative; a divergence is 0 or more")
        codes = np.full(len(table), "no_vector", object)
        codes[order] = np.where(np.isnan(value[order]), "unscored", "not_selected")
        eligible = codes[order] == "not_selected"
        points, order = unit(points[eligible]), order[eligible]
        found = spectral(points, self.clusters, sample=self.sample, seed=self.seed).of
        of = np.full(len(table), -1, np.int64)
        of[order] = found
        sizes = np.bincount(found)
        lost = numbers(table[self.degradation])[order]
        mean = np.bincount(found, lost) / sizes if len(order) else np.empty(0)
        counts = quotas(self.k, mean, sizes)
        picks, clashes = self._walk(
            rows, order, found, value, counts, np.argsort(-mean, kind="stable")
        )
        codes[clashes] = "concept_conflict"
        log.info("rows=%d clusters=%s budgets=%s kept=%d", len(order), sizes, counts, len(picks))
        told: dict[str, Any] = {
            "not_selected": [f"rows: {counts[c]} of {sizes[c]}" if c >= 0 else "" for c in of],
            "concept_conflict": "joins two concepts that were only seen apart",
            "no_vector": f"{self.column} is null",
            "unscored": f"{self.degradation} or {self.tokens} is null",
        }
        cluster = pa.array(of, mask=of < 0)
        return picked(table, picks, codes, told, cluster=cluster, efficiency=value)

    def _walk(
        self,
        rows: list[Any],
        order: Indices,
        of: Indices,
        value: Numbers,
        counts: Indices,
        first: Any,
    ) -> tuple[list[int], list[int]]:
        """Return the places that stay, and those in conflict; one graph for all clusters."""
        graph, picks, clashes = ConceptGraph(), list[int](), list[int]()
        for cluster in first:
            members, left = order[of == cluster], int(counts[cluster])
            for place in members[best_first(value[members], np.arange(len(members)))].tolist():
                if not left:
                    break
                if graph.accepts(self._concepts(rows[place])):
                    picks.append(place)
                    left -= 1
                else:
                    clashes.append(place)
        return picks, clashes

    def _costs(self, table: pa.Table, rows: list[dict[str, Any]]) -> Numbers:
        """Return (n,) squared lengths, e at least, so that a logarithm is 1 at least."""
        counted = (sum(len(words(turn["content"])) for turn in turns(row)) for row in rows)
        lengths = numbers(table[self.tokens]) if self.tokens else np.fromiter(counted, np.float64)
        return np.maximum(lengths**2, np.e)

    def _concepts(self, row: dict[str, Any]) -> list[str]:
        if self.concepts_by:
            return [str(name) for name in row[self.concepts_by] or []]
        return key_phrases("\n".join(turn["content"] for turn in turns(row)), self.concepts)
