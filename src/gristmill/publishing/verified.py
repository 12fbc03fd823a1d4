"""How many rows of a dataset a program bears out, by how it was found, and what nobody looked for.

A pass counts where values were compared outside the program, or its output was: code cannot forge
either. Asserts run beside the code, with a canary and against a stub, and count where the response
passed in more than one run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import polars as pl
import pyarrow as pa

from gristmill.publishing import calibration, contamination, facts
from gristmill.publishing.charts import leading
from gristmill.publishing.files import RunFiles

OUTSIDE = ("values", "stdio")
ASSERTS = "asserts"
TWICE, ONCE = "asserts, run more than once", "asserts, run once"
ENOUGH = (*OUTSIDE, TWICE)


def counts(run: RunFiles) -> tuple[int, Counter[str]]:
    """Return the dataset's rows that are verified, and its passes by how they were found.

    A row with several verdicts is verified if one of them is enough, and counted by each.
    """
    kinds = Counter({kind: len(ids) for kind, ids in by_kind(run).items()})
    return len(which(run)), kinds


def which(run: RunFiles) -> pl.Series:
    """Return the ids of the dataset's rows that are verified."""
    found = [ids for kind, ids in by_kind(run).items() if kind in ENOUGH]
    return pl.concat([pl.Series("id", [], pl.String), *found]).unique()


def by_kind(run: RunFiles) -> dict[str, pl.Series]:
    """Return the ids of the dataset's rows that pass, by how that was found."""
    found = [rows.explode("verdicts").drop_nulls("verdicts") for rows in _found(run)]
    kinds = pl.concat(found).partition_by("verdicts", as_dict=True) if found else {}
    return {str(kind): rows["id"] for (kind,), rows in sorted(kinds.items())}


def _found(run: RunFiles) -> Iterator[pl.DataFrame]:
    """Yield `id` and by what the passes of each row were found, as `verdicts`, file by file."""
    kinds = [_kind(run.data_schema, label) for label in _labels(run.data_schema)]
    for file in run.data if kinds else ():
        rows = pl.read_parquet(file, columns=["id", "verdicts"])
        yield rows.select("id", pl.concat_list(kinds).list.unique())


def section(run: RunFiles) -> Iterator[str]:
    """Yield the sentence of the card; nothing where no verifier says how it judged."""
    if not _labels(run.data_schema):
        return
    n, kinds = counts(run)
    total = len(run.kept)
    yield (
        f"Verified rows: {leading(n)} of {leading(total)}. A pass counts where values or printed "
        "output were compared outside the program, or where asserts held in more than one run."
    )
    for kind, count in sorted(kinds.items()):
        is_enough = "" if kind in ENOUGH else " (not counted)"
        yield f"- {kind}: {leading(count)}{is_enough}"


def limits(run: RunFiles) -> Iterator[str]:
    """Yield what a reader of the card must not expect, from what the recipe did not do."""
    uses = set(run.uses.values())
    n, _ = counts(run)
    if n < len(run.kept):
        yield f"- No program bears out {leading(len(run.kept) - n)} of the rows: they may be wrong."
    if not uses & set(contamination.METHODS_OF):
        yield "- Nobody looked for benchmarks in the rows."
    for what, stages in LOOKED.items():
        if not uses & stages:
            yield f"- Nobody looked for {what}."
    if any(role["model"] == "demo" for role in facts.roles(run)):
        yield "- The model `demo` is a toy: do not train on what it wrote or chose."
    yield from calibration.kin(run)
    yield "- No person has read the rows, unless a section above says so."


LOOKED = {
    "near-duplicates": {"filters.near_duplicates", "filters.semantic_duplicates",
                        "filters.rouge_novelty"},
    "personal data": {"filters.personal_data"},
    "secrets": {"filters.secrets"},
    "toxic rows": {"filters.toxicity"},
    "another language than was meant": {"filters.language", "filters.script"},
}  # fmt: skip


def _labels(schema: pa.Schema) -> list[str]:
    """Return the verifiers that say by what a pass was found."""
    if "verdicts" not in schema.names:
        return []
    struct = schema.field("verdicts").type
    found = (struct.field(i) for i in range(struct.num_fields))
    return [at.name for at in found if at.type.get_field_index("verified_by") >= 0]


def _kind(schema: pa.Schema, label: str) -> pl.Expr:
    """Return how a pass was found; null where it is none, or nobody knows."""
    verdict = pl.col("verdicts").struct.field(label)
    at = schema.field("verdicts").type.field(label).type
    by, passed = (verdict.struct.field(name) for name in ("verified_by", "passed"))
    more = at.get_field_index("flaky") >= 0
    is_twice = verdict.struct.field("flaky") == pl.lit(value=False) if more else pl.lit(value=False)
    asserts = pl.when(is_twice.fill_null(value=False)).then(pl.lit(TWICE)).otherwise(pl.lit(ONCE))
    named = pl.when(by == ASSERTS).then(asserts).when(by != "").then(by)
    return pl.when(passed).then(named).alias("verdicts")
