"""What a run found of benchmarks in its rows, and whether it may be published with what is left.

Read from the details of the rows that left and the evidence of those that stayed with a flag.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from gristmill.formats.protecting import NONE
from gristmill.publishing.charts import leading
from gristmill.publishing.escape import code_span
from gristmill.publishing.files import RunFiles
from gristmill.text.overlaps import CONTAMINATED, HIT, MAX_RATE, METHODS, NGRAM
from gristmill.text.plurals import counted

METHODS_OF = {"filters.contamination": METHODS, "filters.semantic_contamination": ("embedding",)}
"""The stages that look, and by what unless told otherwise."""
NEVER = "No row was compared with a benchmark: no stage of the recipe does that."
Hits = dict[tuple[str, str], list[str]]
"""Ids of rows by benchmark and method."""


@dataclass(frozen=True)
class Compared:
    """One use of the stage; a row's first hit counts."""

    label: str
    params: Mapping[str, Any]
    dropped: Hits
    kept: Hits
    """Of the dataset's rows."""
    methods: Sequence[str]
    benchmarks: Sequence[str]

    @property
    def max_rate(self) -> float:
        """The share of the dataset's rows (0..1) that may have a hit."""
        return float(self.params.get("max_rate", MAX_RATE))


def compared(run: RunFiles) -> list[Compared]:
    """Return every use of the stage in a run, in order."""
    stages = run.recipe.get("stages") or []
    return [
        Compared(label, params, _dropped(run, label), _kept(run, label),
                 params.get("methods", METHODS_OF[use]),
                 params.get("benchmarks") or run.benchmarks(label))
        for (label, use), params in zip(run.uses.items(), stages, strict=False)
        if use in METHODS_OF
    ]  # fmt: skip


def above_limit(run: RunFiles) -> Iterator[str]:
    """Yield what forbids publishing, one line per use of the stage."""
    for use in compared(run):
        n, total = sum(map(len, use.kept.values())), len(run.kept)
        if n > use.max_rate * total:
            sets = ", ".join(sorted({benchmark for benchmark, _ in use.kept}))
            yield (
                f"{n:,} of {counted(total)} repeat {sets} ({n / total:.2%}, at most "
                f"{use.max_rate:.2%} by stage '{use.label}'); drop them with `action: drop`, or "
                "raise max_rate"
            )


def section(run: RunFiles) -> Iterator[str]:
    """Yield the lines of the card."""
    uses = compared(run)
    if not uses:
        yield NEVER
    for use in uses:
        if not use.benchmarks:
            yield f"Stage `{use.label}` compared nothing: {NONE}.\n"
            continue
        runs = f"{use.params.get('ngram', NGRAM)} words" if "words" in use.methods else ""
        how = ", ".join(use.methods) + (runs and f" (runs of {runs})")
        limit = f"at most {use.max_rate:.2%}" if use.max_rate else "none"
        yield f"Stage `{use.label}` looked by {how}; of the dataset {limit} may have a hit."
        yield "\n| benchmark | found by | rows dropped | rows in the dataset |\n|---|---|--:|--:|"
        yield from _table(use)
        if late := _written_later(run, use.label):
            names = ", ".join(f"`{label}`" for label in late)
            yield f"\nText that {names} wrote after that was not compared."
        yield ""


def _table(use: Compared) -> Iterator[str]:
    found = {*use.dropped, *use.kept}
    for name in use.benchmarks:
        methods = sorted(method for benchmark, method in found if benchmark == name)
        for method in methods or ["nothing found"]:
            key = name, method
            n, kept = (leading(len(hits.get(key, ()))) for hits in (use.dropped, use.kept))
            yield f"| {code_span(name, 60)} | {method} | {n} | {kept} |"


def _written_later(run: RunFiles, label: str) -> list[str]:
    labels = list(run.uses)
    later = labels[labels.index(label) + 1 :]
    return [name for name in later if run.uses[name].startswith("generators.")]


def _dropped(run: RunFiles, label: str) -> Hits:
    gone = (pl.col("end_at") == label) & (pl.col("end_code") == CONTAMINATED)
    if not run.files:
        return {}
    found = run.scan().filter(gone).select("id", "end_detail").collect().unique("id")
    return _by_hit(found["id"], found["end_detail"])


def _kept(run: RunFiles, label: str) -> Hits:
    hit = pl.col("meta").str.json_path_match(f"$.{label}.hit").alias("hit")
    if not run.data:
        return {}
    found = pl.concat(
        pl.read_parquet(f, columns=["id", "meta"]).select("id", hit) for f in run.data
    )
    found = found.drop_nulls()
    return _by_hit(found["id"], found["hit"])


def _by_hit(ids: Iterable[str], details: Iterable[str]) -> Hits:
    found: Hits = {}
    for row_id, detail in zip(ids, details, strict=True):
        if hit := HIT.match(detail):
            found.setdefault((hit["benchmark"], hit["method"]), []).append(row_id)
    return found
