"""What a pass over the seeds gives, what a run leaves, and when failures end it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from gristmill.errors import TooManyErrors
from gristmill.pipelines.plan import Plan, Use
from gristmill.pipelines.recipe import Recipe
from gristmill.pipelines.waves import Stop
from gristmill.storage.ids import digest
from gristmill.storage.ledger import Counts, add
from gristmill.storage.rows import Row
from gristmill.storage.shards import Shard, failures

FEW = 100
"""Rows of a stage, at least, before their error rate can stop a run that has more to come."""
MAX_REASON = 300
"""Characters of a failure in an error message."""


@dataclass(frozen=True)
class Result:
    """What a run leaves. A notebook shows the ledger and the first rows.

    >>> from gristmill import Recipe, run
    >>> result = run(Recipe(name="any", stages=[{"use": "filters.length"}]), [{"instruction": ""}])
    >>> result.dataset.num_rows, result.ledger[0]["codes"]
    (0, {'too_short': 1})
    """

    dataset: pa.Table = field(repr=False)
    ledger: list[dict[str, Any]] = field(repr=False)
    stop: Stop
    path: Path
    note: dict[str, Any] = field(repr=False)
    """Everything that `ledger.json` says."""

    @property
    def folder(self) -> Path:
        """The dataset folder."""
        return self.path / "dataset"

    @property
    def report(self) -> Path:
        """The HTML report, when the recipe asks for one."""
        return self.path / "report.html"

    def _repr_html_(self) -> str:
        """Show itself in a notebook."""
        from gristmill.publishing.notebook import shown  # jinja2: not for whoever only runs

        return shown(self.path, self.ledger, self.stop, self.dataset)


@dataclass
class Outcome:
    """What a pass over the seeds gave so far."""

    rows: list[Row] = field(default_factory=list)
    counts: Counts = field(default_factory=dict)
    tokens: int = 0
    opening: int = 0
    """Rounds until the first answer to a generator: they open the pool, as ADR 0039 says."""
    files: list[str] = field(default_factory=list)
    state: str = ""
    """What the rows depend on besides their own ancestors: the code, and what barriers saw."""

    def take_all(self, shards: Mapping[str, Shard]) -> None:
        """Add finished shards, by the names of their files."""
        for file, shard in sorted(shards.items()):
            add(self.counts, shard.counts)
            self.tokens += shard.tokens
            self.files.append(file)

    def saw(self, use: Use, rows: Sequence[Row]) -> None:
        """Note what a barrier saw, when it wrote something that depends on all of it."""
        if use.is_barrier and (use.lands or use.awaits):
            self.state = digest(self.state, [row["id"] for row in rows])


def check_failures(
    uses: Iterable[Use], counts: Counts, rate: float, fewest: int, files: Iterable[Path]
) -> None:
    """Stop when too many rows of a stage failed; fewer than `fewest` are taken for so many.

    Raises:
        TooManyErrors: With what most of the failed rows in these shards say.
    """
    for use in uses:
        found = counts.get(use.label, Counter())
        failed, entered = found["failed"], found["in"]
        if failed > rate * max(entered, fewest):
            reasons = Counter(line for file in files for line in failures(file, use.label))
            said, n = reasons.most_common(1)[0] if reasons else ("nothing", 0)
            raise TooManyErrors(
                f"stage '{use.label}': {failed} of {entered} rows failed, more than "
                f"max_error_rate={rate}; {n} of them say: {said[:MAX_REASON]}; `build-dataset "
                "trace` shows a row with its traceback; repair the cause and run the same command "
                "again"
            )


def units(plan: Plan, recipe: Recipe) -> list[dict[str, Any]]:
    """Name every folder of shards with the labels and the round that it belongs to."""
    n = recipe.rounds.n if recipe.rounds else 1
    named = [
        {"folder": f"{r:02d}-{i:02d}", "round": r, "labels": [u.label for u in uses]}
        for r in range(n)
        for i, uses in enumerate(plan.units)
    ]
    last = {"target": "target"} | {f"select-{i:02d}": u.label for i, u in enumerate(plan.selectors)}
    return named + [{"folder": at, "round": None, "labels": [label]} for at, label in last.items()]
