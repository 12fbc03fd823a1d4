"""What card and report tell about a run, counted from its files. No text, no layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from gristmill.publishing import prices
from gristmill.publishing.escape import cut
from gristmill.publishing.files import RunFiles
from gristmill.publishing.masking import mask_of, repeats_of
from gristmill.publishing.said import texts
from gristmill.storage.rows import Row
from gristmill.text.overlaps import CONTAMINATED
from gristmill.text.plurals import counted
from gristmill.text.redaction import UNSHOWN

MOST_MARKS = 12
"""Distinct texts that a verdict's column may have to be shown as a breakdown."""

MOST_SOURCES = 12
"""Sources that are named; of the others, a line per licence says how many there are."""


@dataclass(frozen=True)
class Line:
    """One stage: its ledger line and the path of its module."""

    label: str
    use: str
    counts: dict[str, Any]

    @property
    def lost(self) -> int:
        """Rows and children rejected."""
        return int(self.counts["rejected"] + self.counts["rejected_children"])

    @property
    def expands(self) -> bool:
        """Whether it made more than one row of a row."""
        return bool(self.counts["made"] > self.counts["entered_ok"])

    @property
    def handled(self) -> int:
        """Everything that ended or went on here: what its bar is a share of."""
        return int(self.counts["rejected"] + self.counts["failed"] + self.counts["made"])


@dataclass(frozen=True)
class Score:
    """A numeric score: every row that has it, and those of the dataset."""

    name: str
    every: np.ndarray
    kept: np.ndarray


@dataclass(frozen=True)
class Example:
    """A row to show, with its texts as they are: the templates escape them."""

    id: str
    texts: list[tuple[str, str]]
    detail: str = ""
    scores: tuple[tuple[str, Any], ...] = ()


def lines(run: RunFiles) -> list[Line]:
    """Return the stages in order."""
    return [Line(c["stage"], run.uses.get(c["stage"], ""), c) for c in run.stages]


def verdicts(run: RunFiles) -> Iterator[tuple[str, str, list[tuple[str, int]]]]:
    """Give label, column and counts for every verdict that is a yes, a no or one of few words."""
    for label, fields in run.fields("verdicts").items():
        names = [n for n, t in fields.items() if pa.types.is_boolean(t) or pa.types.is_string(t)]
        found = run.marks(label, names)
        for name in names:
            counts = found[name].value_counts(sort=True)
            if pa.types.is_boolean(fields[name]):
                said = dict(counts.iter_rows())
                words = (True, False, None)
                kind = counts[name].dtype
                yield label, name, [(word(key, kind), said.get(key, 0)) for key in words]
            elif 1 < len(counts) <= MOST_MARKS:
                ordered = sorted(counts.iter_rows(), key=lambda c: (-c[1], str(c[0])))
                yield label, name, [(word(w, counts[name].dtype), n) for w, n in ordered]


def word(value: Any, kind: pl.DataType) -> str:
    """Return what a value of a verdict is called."""
    if kind == pl.Boolean:
        return {True: "passed", False: "failed", None: "not judged"}[value]
    return cut(str(value or "none"), 40)


def score_names(run: RunFiles) -> list[str]:
    """Return the names of the numeric scores: `ifd.value`."""
    return [
        f"{label}.{name}"
        for label, fields in run.fields("scores").items()
        for name, kind in fields.items()
        if pa.types.is_integer(kind) or pa.types.is_floating(kind)
    ]


def scores(run: RunFiles) -> list[Score]:
    """Return every numeric score that at least two rows have."""
    kept = run.kept.implode()
    result = []
    for name in score_names(run):
        found = run.numbers(f"scores.{name}")
        chosen = found.filter(pl.col("id").is_in(kept))
        if len(found) > 1:
            result.append(Score(name, *(f["value"].to_numpy() for f in (found, chosen))))
    return result


def kept_examples(run: RunFiles, n: int) -> list[Example]:
    """Return rows of the dataset, in the order of their ids: as good as random, and stable."""
    return [*map(publishable(run), run.last_of(run.kept.sort().head(n).to_list()))]


def lost_examples(run: RunFiles, n: int) -> dict[tuple[str, str], list[Example]]:
    """Return up to `n` rejected rows by stage and code; failed rows have the code 'failed'."""
    gone = run.rows.filter(pl.col("end").is_in(["rejected", "failed"])).sort("id")
    gone = gone.with_columns(pl.col("end_code").fill_null("failed"))
    gone = gone.group_by("end_at", "end_code", maintain_order=True).head(n)
    rows = {row["id"]: row for row in run.last_of(gone["id"].to_list())}
    found: dict[tuple[str, str], list[Example]] = {}
    show = publishable(run)
    for i, at, code in gone.select("id", "end_at", "end_code").iter_rows():
        found.setdefault((at, code), []).append(show(rows[i]))
    order = sorted(found, key=lambda key: (run.places.get(key[0], 0), key[1]))
    return {key: found[key] for key in order}


def publishable(run: RunFiles) -> Callable[[Row], Example]:
    """Return what shows a row to everybody: benchmarks stay unsaid, and what filters mask."""
    mask, repeats = mask_of(run), repeats_of(run)

    def show(row: Row) -> Example:
        shown = example(row)
        has_left = row["end_code"] == CONTAMINATED
        if has_left or CONTAMINATED in (row.get("flags") or ()):
            said = [("text", "not shown: it repeats a benchmark")]
            where, _, _ = shown.detail.partition(": ")  # what is shared stands behind it
            return replace(shown, texts=said, detail=where if has_left else "")
        if why := repeats(row, shown.detail):
            return replace(shown, texts=[("text", f"not shown: {why}")], detail="")
        said = [(name, mask(text)) for name, text in shown.texts]
        return replace(shown, texts=said, detail=mask(shown.detail))

    return show


def first_sources(run: RunFiles) -> list[tuple[str, str, int]]:
    """Return the largest sources, and one line per licence for all the others."""
    found, n = sources(run), MOST_SOURCES
    rest: dict[str, list[int]] = {}
    for _, licence, count in found[n:]:
        rest.setdefault(licence, []).append(count)
    more = [
        (counted(len(c), "further source"), licence, sum(c)) for licence, c in sorted(rest.items())
    ]
    return found[:n] + more


def sources(run: RunFiles) -> list[tuple[str, str, int]]:
    """Return source, licence and number of the seeds that the run took, most first."""
    if not run.files:
        return []
    first = (pl.col("stage") == "seeds") & (pl.col("round") == 0)
    seeds = run.scan().filter(first).select("id", "source", "license")
    counts = seeds.collect().unique("id").group_by("source", "license").len("n")
    named = [(s or "not stated", lic or "not stated", n) for s, lic, n in counts.iter_rows()]
    return sorted(named, key=lambda line: (-line[2], line[0], line[1]))


def roles(run: RunFiles) -> list[dict[str, Any]]:
    """Return what every role was bound to: engine, model and its origin, identity and calls."""
    asked = run.note.get("roles") or {}
    bound = run.recipe.get("engines") or {}
    identities = run.lock.get("engines") or {}
    origins = run.lock.get("models") or {}
    found = []
    for role in sorted({*asked, *identities}):
        entry, counts = bound.get(role) or {}, asked.get(role) or {}
        origin = origins.get(role) or {}
        found.append(
            {
                "role": role,
                "engine": entry.get("use") or counts.get("engine") or role,
                "model": entry.get("model") or entry.get("name") or origin.get("model") or "",
                "pinned": str(origin.get("pinned") or ""),
                "licence": str(origin.get("licence") or ("not stated" if origin else "")),
                "outside": str(origin.get("outside") or ""),
                "runs_code": bool(origin.get("trust_remote_code")),
                "identity": str(counts.get("identity") or identities.get(role) or ""),
                "made": counts.get("made"),
                "replayed": counts.get("replayed"),
                "tokens": counts.get("tokens"),
            }
        )
    return found


def malformed(run: RunFiles) -> int | None:
    """Return how many lines of the input could not be read; None when nobody counted."""
    found: int | None = (run.note.get("input") or {}).get("malformed")
    return found


def remarks(run: RunFiles) -> list[str]:
    """Return what the reader of the seeds left out, and why."""
    return [str(note) for note in (run.note.get("input") or {}).get("notes") or []]


def seed_files(run: RunFiles) -> tuple[list[str], str]:
    """Return the files that the seeds were read from, and the digest of names and bytes."""
    told = run.note.get("input") or {}
    return [str(name) for name in told.get("files") or []], str(told.get("digest") or "")


def example(row: Row) -> Example:
    """Return a row as it may be shown; texts that nobody should see are not in it."""
    numbers = tuple(
        (f"{label}.{name}", value)
        for label, fields in sorted((row.get("scores") or {}).items())
        for name, value in (fields or {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    )
    hidden = row.get("end_code") in UNSHOWN
    shown = [("text", "not shown: it holds what nobody should see")] if hidden else texts(row)
    return Example(row["id"], list(shown), why_of(row), numbers)


def why_of(row: Row) -> str:
    """Return the evidence of a row that left: what its stage said, else its error's last line."""
    return row.get("end_detail") or (row.get("end_error") or "").strip().rpartition("\n")[2]


def costs(run: RunFiles) -> list[tuple[str, float]]:
    """Return what the run cost in all: name with its unit, and the sum over its commands.

    Its dataset used more tokens than it made where answers came from the store of earlier runs.
    """
    used = ("tokens of all answers used", run.note["tokens"])
    paid = {
        "tokens made by models": "tokens",
        "calls made": "made",
        "wall time, s": "wall_s",
        "CPU time of the driver, s": "cpu_s",
    }
    sums = [(name, sum(bill[column] for bill in run.bills)) for name, column in paid.items()]
    return [used, *(sums if run.bills else []), *prices.costs(run)]


def prefix_hits(run: RunFiles) -> tuple[float, float] | None:
    """Return the share of prompt tokens that engines found computed, and the planned share.

    The plan counts characters (`engines/planner.py`), vLLM tokens. None when no engine told.
    """
    total: Counter[str] = Counter()  # of floats: a Counter adds them as well
    for bill in run.bills:
        for counters in bill.get("engines", {}).values():
            total.update(counters)
    asked = total["vllm:prefix_cache_queries"]
    if not asked:
        return None
    planned = total["planner:shared_characters"] / max(1.0, total["planner:prompt_characters"])
    return total["vllm:prefix_cache_hits"] / asked, planned
