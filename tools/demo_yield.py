"""Count what a finished run of the demo accepted: rows, distinct tasks, novelty, pass rate.

Usage: python tools/demo_yield.py RUN_DIRECTORY. Reads files only; the last line is JSON.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from demo_model.syntax import tree_hash

from gristmill.text.fences import python_code

PROGRAMS = Path(__file__).parents[1] / "src/gristmill/models/demo/programs.bin"


def trained(path: Path = PROGRAMS) -> set[str]:
    """Return the names of the programs in the training corpus."""
    packed = path.read_bytes()
    return {packed[i : i + 6].hex() for i in range(0, len(packed), 6)}


def measure(run: Path) -> dict[str, Any]:
    """Return the counts of one run."""
    files = sorted((run / "dataset").rglob("*.parquet"))
    rows = [row for path in files for row in pq.read_table(path).to_pylist()]
    trees = [tree_hash(python_code(row["output"]) or "") for row in rows]
    shapes = {tree_hash(python_code(row["output"]) or "", constants=False) for row in rows}
    known = trained()
    statuses = verdicts(run)
    return {
        "rows": len(rows),
        "verified": sum(row["verdicts"]["unit_tests"]["passed"] is True for row in rows),
        "distinct_tasks": len(set(trees)),
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


if __name__ == "__main__":
    measured = measure(Path(sys.argv[1]))
    for name, value in measured.items():
        sys.stdout.write(f"{name:16} {value}\n")
    sys.stdout.write(json.dumps(measured) + "\n")
