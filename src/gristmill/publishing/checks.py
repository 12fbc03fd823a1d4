"""What must hold before a run is published: its ledger, its rows and its dataset agree.

This is the gate of `publish`; `tools/audit.py` recounts more, stage by stage, without this code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import polars as pl

from gristmill.errors import InputError, LedgerError
from gristmill.publishing.files import AGAIN, RunFiles
from gristmill.storage.ledger import lines


def problems(run: RunFiles) -> list[str]:
    """Return everything that does not add up, one line each; empty when all is well."""
    missing = [file.name for file in run.files if not file.exists()]
    if missing:
        return [f"{len(missing)} shards of the ledger are missing, such as {missing[0]}"]
    try:
        if not run.data:
            return ["the dataset's files are missing: dataset/data/train-*.parquet"]
    except InputError as error:
        return [str(error).removesuffix(AGAIN)]
    return [*_ledger(run), *_endings(run), *_dataset(run), *_ancestry(run)]


def _ledger(run: RunFiles) -> Iterator[str]:
    """Let the storage check every stage's line and its neighbour again."""
    counts = {}
    for found in run.stages:
        codes = {f"code:{code}": n for code, n in found["codes"].items()}
        plain = {k: v for k, v in found.items() if isinstance(v, int)}
        counts[found["stage"]] = {**plain, **codes}
    try:
        lines(counts, _counters(counts))
    except LedgerError as error:
        yield str(error)


def _counters(counts: dict[str, dict[str, int]]) -> dict[str, Counter[str]]:
    return {label: Counter(numbers) for label, numbers in counts.items()}


def _endings(run: RunFiles) -> Iterator[str]:
    """Compare the rows that ended at each stage with the ledger."""
    ended = run.rows.filter(pl.col("end").is_in(["rejected", "failed"]))
    found = {
        (at, end, code): n
        for at, end, code, n in ended.group_by("end_at", "end", "end_code").len().iter_rows()
    }
    for stage in run.stages:
        label = stage["stage"]
        told = {("rejected", code): n for code, n in stage["codes"].items()}
        if stage["failed"]:
            told["failed", None] = stage["failed"]
        there = {(end, code): n for (at, end, code), n in found.items() if at == label}
        for end, code in sorted(told.keys() | there.keys(), key=str):
            n, m = told.get((end, code), 0), there.get((end, code), 0)
            if n != m:
                yield f"stage '{label}': {n} rows {end} ({code}) in the ledger, {m} in the files"


def _dataset(run: RunFiles) -> Iterator[str]:
    """Compare the dataset with the rows that no stage rejected."""
    kept = set(run.rows.filter(pl.col("end") == "kept")["id"])
    there = run.kept.to_list()
    if len(there) != len(set(there)):
        yield f"dataset: {len(there) - len(set(there))} rows are there more than once"
    if kept != set(there):
        yield f"dataset: {len(kept ^ set(there))} rows differ from those kept last"


def _ancestry(run: RunFiles) -> Iterator[str]:
    """Look for parents that are in no file, and seeds that are not their own root."""
    parents = run.rows.select(pl.col("parents").explode(empty_as_null=False).alias("id"))
    lost = parents.unique().join(run.rows.select("id"), on="id", how="anti").drop_nulls()
    if len(lost):
        yield f"{len(lost)} parents are in no file, such as {lost['id'][0]}"
    seeds = run.rows.filter((pl.col("parents").list.len() == 0) & (pl.col("id") != pl.col("root")))
    if len(seeds):
        yield f"{len(seeds)} rows without parents are not seeds, such as {seeds['id'][0]}"
