"""A sample of seeds through a recipe, and what of it belongs to which seed.

Every shard holds one family, so the footers that the ledger is made of count for one seed each.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from gristmill.forecasting.predicting import Crowd, Sample
from gristmill.formats.readers import Seeds
from gristmill.pipelines.plan import Plan
from gristmill.publishing.calls import measured
from gristmill.storage.rows import Row

COSTS = ("answers", "tokens", "written", "answer_bytes", "lines")
"""Per seed: answers and tokens used, tokens written, bytes of answers, lines in shards."""


def first(seeds: Seeds, n: int) -> Seeds:
    """Return the first seeds in the order of ids, in which a run takes them: as good as drawn."""
    few = sorted(range(len(seeds.ids)), key=lambda i: seeds.ids[i])[:n]
    return replace(seeds, rows=[seeds.rows[i] for i in few], ids=[seeds.ids[i] for i in few])


@dataclass
class Found:
    """What the first seeds of a recipe cost and gave."""

    names: list[str]
    """The figures' names: `COSTS`, `rows`, and a `kept by` for every stage before the target."""
    sample: Sample
    table: dict[str, int] = field(default_factory=lambda: {"answers": 0, "tokens": 0})
    """What stages asked that see all rows at once: it is no seed's."""
    memory_bytes: int = 0
    """Of all lines, as rows in memory."""
    _entered: Counter[str] = field(default_factory=Counter)
    """Rows that came to each filter that sees all rows at once."""
    _lost: Counter[str] = field(default_factory=Counter)
    """Those of which it named another seed's row as their like."""
    _keys: dict[str, set[str]] = field(default_factory=dict)
    """By seed, the answers that only it needs."""
    _shared: set[str] = field(default_factory=set)

    def add(self, row: Row, number: int, label: str | None, place: Mapping[str, int]) -> None:
        """Count a line of a round; with a label it ended at a stage that sees all rows at once."""
        seed, keys = place[row["root"]], self._keys.setdefault(row["root"], set())
        figures = self.sample.figures[number, seed]
        figures[COSTS.index("lines")] += 1
        self.memory_bytes += deep(row)
        if label is None:
            keys |= set(row["calls"]) - self._shared
            return
        self._shared |= set(row["calls"]) - keys
        if row["end"] == "kept" and label in self.names:
            figures[self.names.index(label)] += 1

    def crowd(self, label: str, rows: Sequence[Row]) -> None:
        """Count what a filter lost that saw all these rows at once."""
        root = {row["id"]: row["root"] for row in rows}
        likes = ((row["root"], root.get((row["end_detail"] or "").split(" ")[-1])) for row in rows)
        self._entered[label] += len(rows)
        self._lost[label] += sum(like not in (None, own) for own, like in likes)
        lost, crowds = 0, list[Crowd]()
        for at, n in self._entered.items():
            crowds.append(Crowd(self.names.index(at), n + lost, lost := lost + self._lost[at]))
        self.sample = replace(self.sample, crowds=tuple(crowds))

    def weigh(self, store: Path, place: Mapping[str, int]) -> None:
        """Look up what the answers take and how much was written for each; rounds share it."""
        sizes = measured(store, set().union(*self._keys.values()))
        for root, keys in self._keys.items():
            paid = [sizes[key] for key in keys if key in sizes]
            for name, column in (("answer_bytes", 0), ("written", 1)):
                total = sum(one[column] for one in paid) / len(self.sample.figures)
                self.sample.figures[:, place[root], COSTS.index(name)] = total


def find(run: Path, note: Mapping[str, Any], plan: Plan, ids: Sequence[str], store: Path) -> Found:
    """Read the run of a sample: `ids` are its seeds in order, `note` its ledger."""
    labels = [use.label for unit in plan.units for use in unit]
    barriers = {use.label for use in plan.uses if use.is_barrier}
    filters = {use.label for use in plan.uses if use.folder == "filters"}
    crowded = {f"kept by {label}" for label in barriers & filters & {*labels}}
    names = [*COSTS, "rows", *(f"kept by {label}" for label in labels)]
    n_rounds = 1 + max(unit["round"] or 0 for unit in note["units"])
    figures = np.zeros((n_rounds, len(ids), len(names)))
    found = Found(names, Sample(figures, COSTS.index("tokens"), len(COSTS)))
    place = {seed: i for i, seed in enumerate(ids)}
    units = {unit["folder"]: unit for unit in note["units"]}
    for name in note["files"]:
        unit = units[Path(name).parent.name]
        table = pq.read_table(run / name)
        rows, foot = table.to_pylist(), json.loads(table.schema.metadata[b"gristmill"])
        asked = sum(counts.get("asked", 0) for counts in foot["counts"].values())
        if unit["folder"] == "target":
            label: str | None = "rows"
        else:
            label = next((f"kept by {name}" for name in unit["labels"] if name in barriers), None)
        for row in rows:
            found.add(row, row["round"] if unit["round"] is None else unit["round"], label, place)
        if label:
            if label in crowded:
                found.crowd(label, rows)
            found.table["answers"] += asked
            found.table["tokens"] += foot["tokens"]
            continue
        of = figures[unit["round"], place[rows[0]["root"]]]
        of[:2] += asked, foot["tokens"]
        for at, counts in foot["counts"].items():
            of[names.index(f"kept by {at}")] += counts.get("kept", 0)
    found.weigh(store, place)
    return found


def deep(value: Any) -> int:
    """Return the bytes that a row takes in memory, its values and names included."""
    parts = [*value.values()] if isinstance(value, dict) else value
    inside = sum(map(deep, parts)) if isinstance(value, dict | list) else 0
    return sys.getsizeof(value) + inside
