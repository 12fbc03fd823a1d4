"""How large the report of a run of a million rows is, and how long a browser takes to open it.

Claim: under 10 MB, and open in under 3 s. A small run is real: rows are filtered, compared and
embedded. Its shards, dataset and ledger are then repeated under other ids until a million rows are
in them, since a report reads nothing else. Baseline: the report of the small run, in the same run.
Opening is measured in headless Chromium (its navigation timing: page loaded), where one is there.

    python benchmarks/report_size.py [--quick] [--json] [--rows N]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from telling import machine, tell

ROOT = Path(__file__).parents[1]
SEEDS = 400
NAMED = ("id", "root")
TOGETHER = 50_000
"""Lines that are written together."""
RECIPE: dict[str, Any] = {
    "name": "wide",
    "engines": {"embedder": {"use": "sentence_transformers", "model": "minilm"}},
    "stages": [
        {"use": "filters.length", "min_chars": 40},
        {"use": "filters.near_duplicates"},
        {"use": "scorers.embedding"},
    ],
}


def small(workspace: Path) -> Path:
    """Run a recipe on a few rows and return the folder of the run."""
    from gristmill import Recipe, run

    topics = ("sorts a list", "counts words", "adds two dates", "parses a file", "walks a tree")
    rows = [
        {
            "instruction": f"Write function number {i * i} that {topics[i % 5]} {'x' * (i % 37)}.",
            "output": f"def f{i}(x):\n    return x + {i}\n",
        }
        for i in range(SEEDS)
    ]
    return run(Recipe(**RECIPE), rows, workspace=workspace).path


def repeat(run: Path, times: int) -> int:
    """Repeat every row of a finished run under other ids, and its counts; return its rows."""
    note = json.loads((run / "ledger.json").read_text(encoding="utf-8"))
    for name in [*note["files"], *_data(run)]:
        _repeat_file(run / name, times)
    for line in note["stages"]:
        line["codes"] = {code: n * times for code, n in line["codes"].items()}
        line.update({k: n * times for k, n in line.items() if isinstance(n, int)})
    for key in ("seeds", "tokens"):
        note[key] *= times
    note["dataset"] = {name: n * times for name, n in (note.get("dataset") or {}).items()}
    (run / "ledger.json").write_text(json.dumps(note), encoding="utf-8")
    return sum(pq.read_metadata(run / name).num_rows for name in _data(run))


def _data(run: Path) -> list[str]:
    return [file.relative_to(run).as_posix() for file in run.glob("dataset/data/*.parquet")]


def _repeat_file(path: Path, times: int) -> None:
    table = pq.read_table(path)
    block = max(1, min(times, TOGETHER // max(len(table), 1)))
    with pq.ParquetWriter(path, table.schema) as out:
        for start in range(0, times, block):
            n = min(block, times - start)
            out.write_table(_again(table, range(start, start + n)))


def _again(table: pa.Table, numbers: range) -> pa.Table:
    """Return a table once for every number, which stands behind each id in it."""
    whole = pa.concat_tables([table] * len(numbers)).combine_chunks()
    tails = pa.array([f"-{i}" for i in numbers for _ in range(len(table))], pa.string())
    for name in NAMED:
        ids = pc.binary_join_element_wise(whole[name], tails, "")
        whole = whole.set_column(whole.schema.get_field_index(name), table.schema.field(name), ids)
    parents = whole["parents"].combine_chunks()
    own = tails.take(pc.list_parent_indices(parents))
    named = pc.binary_join_element_wise(pc.list_flatten(parents), own, "")
    lengths = pc.fill_null(pc.list_value_length(parents), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
    place = whole.schema.get_field_index("parents")
    made = pa.ListArray.from_arrays(offsets.cast(pa.int32()), named)
    return whole.set_column(place, table.schema.field("parents"), made)


def opened_s(page: Path) -> float | None:
    """Return the seconds until Chromium has loaded a page; None without Chromium."""
    sys.path.insert(0, str(ROOT))
    from tests.publishing.browser import CHROMIUM, DRIVER, driven

    if not (CHROMIUM and DRIVER):
        return None
    with driven() as browser:
        browser.open(page.absolute().as_uri())
        end = browser.ask("return performance.getEntriesByType('navigation')[0].loadEventEnd")
    return round(float(end) / 1000, 3)


def measure(wanted: int) -> dict[str, Any]:
    """Write both reports and return the figures."""
    from gristmill.publishing import report

    with tempfile.TemporaryDirectory() as folder:
        run = small(Path(folder))
        before = (run / "report.html").stat().st_size
        rows = repeat(run, max(1, wanted // SEEDS))
        start = time.perf_counter()
        page = report.write(run)
        took, size = time.perf_counter() - start, page.stat().st_size
        return {
            "ratio": round(size / before, 2),
            "rows": rows,
            "report_mb": round(size / 1e6, 3),
            "small_report_mb": round(before / 1e6, 3),
            "opened_s": opened_s(page),
            "written_s": round(took, 1),
        }


def main() -> None:
    """Print the size, the time to open it and the time to write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="100,000 rows")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--rows", type=int, default=0)
    args = parser.parse_args()
    wanted = args.rows or (100_000 if args.quick else 1_000_000)
    result = {**measure(wanted), "machine": machine("polars", "pyarrow")}
    tell(result, as_json=args.json)


if __name__ == "__main__":
    main()
