"""Count what a finished run of the demo accepted: rows, distinct tasks, novelty, pass rate.

Usage: python tools/demo_yield.py RUN_DIRECTORY [--full]. Reads files only; the last line is JSON.
Ends with 1 when a rate is beyond its limits; with --full, when a count of the whole demo is too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from demo_model.syntax import tree_hash

from gristmill.text.fences import python_code

PROGRAMS = Path(__file__).parents[1] / "src/gristmill/models/demo/programs.bin"
RATES = {"novel_rate": (0.3, 1.0), "pass_rate": (0.1, 0.9), "distinct_rate": (0.6, 1.0)}
"""What the demo has to give, however small it is: the lowest and highest share (0..1)."""
COUNTS = {"verified": (100, 100), "distinct_tasks": (60, 100)}
"""What all of it has to give: it keeps 100 rows."""


def trained(path: Path = PROGRAMS) -> set[str]:
    """Return the names of the programs in the training corpus."""
    packed = path.read_bytes()
    return {packed[i : i + 6].hex() for i in range(0, len(packed), 6)}


def measure(run: Path, known: Collection[str]) -> dict[str, Any]:
    """Return the counts of one run; novel is what is not among the `known` programs."""
    files = sorted((run / "dataset").rglob("*.parquet"))
    rows = [row for path in files for row in pq.read_table(path).to_pylist()]
    trees = [tree_hash(python_code(row["output"]) or "") for row in rows]
    shapes = {tree_hash(python_code(row["output"]) or "", constants=False) for row in rows}
    statuses = verdicts(run)
    return {
        "rows": len(rows),
        "verified": sum(row["verdicts"]["unit_tests"]["passed"] is True for row in rows),
        "distinct_tasks": len(set(trees)),
        "distinct_rate": round(len(set(trees)) / max(1, len(trees)), 3),
        "distinct_shapes": len(shapes),
        "novel_rate": round(sum(tree not in known for tree in trees) / max(1, len(trees)), 3),
        "programs_run": statuses.total(),
        "pass_rate": round(statuses["pass"] / max(1, statuses.total()), 3),
        "statuses": dict(statuses.most_common()),
    }


def verdicts(run: Path) -> Counter[str]:
    """Return how many programs ended with each status, over all rows that were run."""
    found: dict[str, str] = {}
    for path in sorted((run / "shards").rglob("*.parquet")):
        for row in pq.read_table(path, columns=["id", "verdicts"]).to_pylist():
            if row["verdicts"] and (verdict := row["verdicts"].get("unit_tests")):
                found[row["id"]] = verdict["status"]
    return Counter(status for status in found.values() if status)


def shortfalls(measured: Mapping[str, Any], *, full: bool = False) -> list[str]:
    """Say what is beyond its limits."""
    limits: dict[str, tuple[float, float]] = {**RATES, **(COUNTS if full else {})}
    return [
        f"{name} is {measured[name]}, not {low} to {high}"
        for name, (low, high) in limits.items()
        if not low <= measured[name] <= high
    ]


def main() -> int:
    """Print what was measured, and what of it is not enough."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="the directory of a finished run")
    parser.add_argument("--full", action="store_true", help="a run of `make demo`")
    args = parser.parse_args()
    measured = measure(args.run, trained())
    for name, value in measured.items():
        sys.stdout.write(f"{name:16} {value}\n")
    sys.stdout.write(json.dumps(measured) + "\n")
    short = shortfalls(measured, full=args.full)
    for told in short:
        sys.stderr.write(f"{told}\n")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
