"""The card on the preference pairs of a run: which stage made them, and how far apart they are."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

import polars as pl

from gristmill.formats.lines import pair_notes
from gristmill.publishing.charts import leading, linked
from gristmill.publishing.escape import code_span
from gristmill.publishing.files import RunFiles
from gristmill.storage.ledger import label_of
from gristmill.text.plurals import counted

READ = ["id", "chosen", "rejected", "meta"]
MOST_SOURCES = 12
"""Combinations of writers that are named."""


def section(run: RunFiles) -> Iterator[str]:
    """Yield a line per stage that made pairs, and who wrote the two answers."""
    by_label, writers = of(run)
    if not by_label:
        return
    params = {label_of(stage): stage for stage in run.recipe.get("stages") or []}
    yield "| made by | with | pairs | margin: least, median, most | `chosen` is longer |"
    yield "|---|---|--:|---|--:|"
    for label, rows in sorted(by_label.items()):
        margins = sorted(row["margin"] for row in rows if row.get("margin") is not None)
        spread = margins and (margins[0], median(margins), margins[-1])
        longer = sum(len(row["chosen"]) > len(row["rejected"]) for row in rows) / len(rows)
        cells = [
            code_span(run.uses.get(label, "seeds"), 80),
            code_span(_params(params.get(label, {})), 200),
            leading(len(rows)),
            ", ".join(linked(f"{margin:.3g}") for margin in spread) or "none given",
            linked(f"{longer:.0%}"),
        ]
        yield f"| {' | '.join(cells)} |"
    yield "\nA row with `chosen` and `rejected` is a pair; the margin is in the units of its stage."
    for (chosen, rejected), ids in writers.items():
        n = linked(counted(len(ids), "pair"))
        yield f"- {code_span(chosen, 80)} over {code_span(rejected, 80)}: {n}."


def of(run: RunFiles) -> tuple[dict[str, list[dict[str, Any]]], dict[tuple[str, str], list[str]]]:
    """Return the pairs by the stage that made them, and ids by the commonest who wrote both.

    Pairs that came with the seeds have no stage: their label is empty.
    """
    by_label: dict[str, list[dict[str, Any]]] = {}
    writers: dict[tuple[str, str], list[str]] = {}
    for row in _pairs(run):
        label, told = pair_notes(row["meta"])
        by_label.setdefault(label, []).append({**row, **told, "id": row["id"]})
        if label:
            both = str(told["chosen_from"]), str(told["rejected_from"])
            writers.setdefault(both, []).append(row["id"])
    most = sorted(writers.items(), key=lambda one: -len(one[1]))[:MOST_SOURCES]
    return by_label, dict(most)


def _params(entry: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in entry.items() if name != "use")


def _pairs(run: RunFiles) -> list[dict[str, Any]]:
    """Return what is read of the dataset's rows that have both answers."""
    if not {*READ} <= {*run.data_schema.names}:
        return []
    scan = pl.scan_parquet(run.data).select(READ)
    is_pair = pl.col("chosen").is_not_null() & pl.col("rejected").is_not_null()
    found: list[dict[str, Any]] = scan.filter(is_pair).collect().to_dicts()
    return found
