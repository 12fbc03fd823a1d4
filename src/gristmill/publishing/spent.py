"""What a run spent and gave, in the figures of a forecast, and the forecast that was made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gristmill.publishing.calls import measured, store_of
from gristmill.publishing.charts import ROWS, number
from gristmill.publishing.files import RunFiles
from gristmill.publishing.housekeeping import forecast_of, size_of
from gristmill.text.plurals import counted

MOST_BILLS = 12
"""Commands that the card tells of."""


@dataclass(frozen=True)
class Compared:
    """One figure of a forecast, and what it came to."""

    figure: str
    unit: str
    low: float
    expected: float
    high: float
    fact: float

    @property
    def is_inside(self) -> bool:
        """Whether the fact lies in the stated range."""
        return self.low <= self.fact <= self.high


def compare(run: RunFiles) -> tuple[list[Compared], str] | None:
    """Return forecast and fact of a finished run, and a remark; None where nobody forecast it."""
    if not (told := forecast(run)):
        return None
    aim = {name: run.recipe.get(name) for name in ("target", "budget")}
    if told["aim"] != aim:
        return [], f"The forecast was for {told['aim']}, this run for {aim}: not compared."
    found = fact(run, told["devices"])
    lines = [
        Compared(name, one["unit"], one["low"], one["expected"], one["high"], found[name])
        for name, one in told["figures"].items()
        if name in found
    ]
    n = sum(line.is_inside for line in lines)
    sample, figures = counted(told["sampled"], "seed"), counted(len(lines), "figure")
    return lines, f"From a sample of {sample}; {n} of {figures} inside."


def forecast(run: RunFiles) -> dict[str, Any]:
    """Return what was forecast of a finished run; nothing where nobody did."""
    path = forecast_of(run.path.absolute().parents[1], run.path.name)
    is_told = path.exists() and not run.is_stopped
    return json.loads(path.read_text(encoding="utf-8")) if is_told else {}


def fact(run: RunFiles, devices: int) -> dict[str, float]:
    """Return what a finished run came to, by the names of a forecast's figures."""
    note = run.note
    found = {
        "seeds": note["seeds"],
        "rows": note["stages"][-1]["kept"],
        "answers": sum(note["calls"].values()),
        "tokens": note["tokens"],
        **{f"kept by {line['stage']}": line["kept"] for line in note["stages"]},
    }
    if run.bills:
        found["wall_s"] = sum(bill["wall_s"] for bill in run.bills)
        found["engine_hours"] = devices * found["wall_s"] / 3600
        found["peak_bytes"] = max(bill.get("peak_bytes", 0) for bill in run.bills)
    if (store := store_of(run.path)) and run.files:
        calls = run.scan().select("root", key="calls").explode("key").drop_nulls().unique()
        table = calls.collect()
        sizes = measured(store, table["key"].unique())
        found["written"] = sum(sizes[key][1] for key in table["key"] if key in sizes)
        found["read"] = found["tokens"] - found["written"]
        found["disk_bytes"] = size_of(run.path) + sum(size for size, _ in sizes.values())
    return found


def section(run: RunFiles) -> Iterator[str]:
    """Yield the lines of the card: what the last commands paid; none where all was replayed."""
    if not run.bills:
        return
    yield "| command | calls made | replayed | tokens made | wall time, s |"
    yield "|--:|--:|--:|--:|--:|"
    for i, bill in [*enumerate(run.bills, 1)][-MOST_BILLS:]:
        cells = (number(bill[name]) for name in ("made", "replayed", "tokens", "wall_s"))
        yield f"| {i} | {' | '.join(cells)} |"
    yield (
        f"\nThe last commands, as `costs/` of the run has them. How many answers some rows took "
        f"stands [below]({ROWS}); `build-dataset trace` shows every call of a row."
    )
