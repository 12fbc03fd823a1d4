"""How long `build-dataset run curate` takes on real rows, and how long with another `k` after it.

Goals on two cores without a GPU, start of the interpreter included: the 9,229 Alpaca rows in 8
minutes at most (goal 5), and the replay with another `k` in 20 s without a single call. Every arm
is the user's own command in a process of its own. The ratio is cold over replayed: there is one
cold arm, and the replays each take another `k`, because the same one would find its run finished.
GRISTMILL_DATA names the folder with the rows. --quick leaves Prefect out, whose server alone takes
10 s of processor time to start.

    python benchmarks/curate.py [--quick] [--json] [--rows 9229]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from telling import data_folder, machine, tell

LIMITS_S = {"cold": 480.0, "replay": 20.0}
"""For all 9,229 rows."""


def curate(folder: Path, k: int, options: list[str]) -> tuple[float, dict[str, Any]]:
    """Run the command; return its wall time and the object that `--json` promises."""
    command = [
        sys.executable, "-m", "gristmill", "run", "curate", "--json", "--quiet",
        "--input", "rows.json", "--set", f"stages.-1.k={k}", *options,
    ]  # fmt: skip
    source = str(Path(__file__).parents[1] / "src")
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": source},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    wall_s = time.perf_counter() - start
    told: dict[str, Any] = json.loads(done.stdout)
    if told["kept"] != k:
        raise RuntimeError(f"kept {told['kept']} rows, not {k}")
    return wall_s, told


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="300 rows, one replay, no Prefect")
    parser.add_argument("--rows", type=int, default=9229)
    args = parser.parse_args()
    n_rows, replays = (300, 1) if args.quick else (args.rows, 5)
    options = ["--local", "--no-prefect"] if args.quick else []
    path = data_folder() / "alpaca" / "random_9k.json"
    rows, k = json.loads(path.read_text())[:n_rows], min(1000, n_rows // 3)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rows.json").write_text(json.dumps(rows))
        cold_s, cold = curate(folder, k, options)
        again = [curate(folder, k - 1 - i, options) for i in range(replays)]
    if made := sum(told["calls"]["made"] for _, told in again):
        raise RuntimeError(f"the replays made {made} calls")
    replay_s = statistics.median(wall_s for wall_s, _ in again)
    names = machine("torch", "transformers", "ray", "prefect")
    sys.stdout.write(f"{names}, {len(rows)} rows of Alpaca, demo scorer, k={k}\n")
    result = {
        "name": "curate",
        "ratio": round(cold_s / replay_s, 2),
        "baseline": round(cold_s, 1),
        "unit": "s",
        "rows": len(rows),
        "cold_s": round(cold_s, 1),
        "replay_s": round(replay_s, 1),
        "replays_s": [round(wall_s, 1) for wall_s, _ in again],
        "limits_s": LIMITS_S,
        "rows_per_s": round(len(rows) / cold_s, 1),
        "tokens_per_s": round(cold["tokens"] / cold_s),
        "calls": cold["calls"]["made"],
        "options": " ".join(options),
        "quick": args.quick,
    }
    tell(result, as_json=args.json)


if __name__ == "__main__":
    main()
