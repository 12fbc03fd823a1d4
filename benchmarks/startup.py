"""How long `build-dataset --help` and `check` take, interpreter start included.

Claim: --help answers in 0.4 s and check in 1.5 s. What is checked are recipes as they are shipped:
`demo`, which reads the standard library, and `curate` on the 9,229 Alpaca rows of the folder that
GRISTMILL_DATA names. Baseline: the interpreter alone, in the same run. The arms alternate; every
process starts cold, with its bytecode cached.

    python benchmarks/startup.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from telling import data_folder, machine, tell

LIMITS_S = {"help": 0.4, "check_demo": 1.5, "check_curate": 1.5}


def arms() -> dict[str, list[str]]:
    """Return the command of every arm."""
    command = [sys.executable, "-m", "gristmill"]
    rows = data_folder() / "alpaca" / "random_9k.json"
    return {
        "interpreter": [sys.executable, "-c", "pass"],
        "help": [*command, "--help"],
        "check_demo": [*command, "check", "demo"],
        "check_curate": [*command, "check", "curate", "--input", str(rows)],
    }


def seconds(command: list[str], folder: Path) -> tuple[float, float]:
    """Run a command and return wall time and processor time, which says more on a busy machine."""
    source = str(Path(__file__).parents[1] / "src")
    environment = {**os.environ, "PYTHONPATH": source}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def summary(times: list[tuple[float, float]]) -> dict[str, float]:
    """Return the figures of one arm."""
    walls, processor = zip(*times, strict=True)
    return {
        "median_s": round(statistics.median(walls), 3),
        "min_s": round(min(walls), 3),
        "max_s": round(max(walls), 3),
        "median_cpu_s": round(statistics.median(processor), 3),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="5 repeats instead of 15")
    args = parser.parse_args()
    repeats, commands = 5 if args.quick else 15, arms()
    with tempfile.TemporaryDirectory() as name:
        for command in commands.values():
            seconds(command, Path(name))  # compiles the bytecode
        times: dict[str, list[tuple[float, float]]] = {arm: [] for arm in commands}
        for _ in range(repeats):
            for arm, command in commands.items():
                times[arm].append(seconds(command, Path(name)))
    told = {arm: summary(found) for arm, found in times.items()}
    base = told["interpreter"]["median_s"]
    sys.stdout.write(f"{machine('pydantic', 'pyarrow')}, {repeats} alternating repeats\n")
    result: dict[str, Any] = {
        "name": "startup",
        "ratio": round(told["help"]["median_s"] / base, 2),
        "baseline": base,
        "unit": "s",
        "limits_s": LIMITS_S,
        "within_limits": {arm: told[arm]["median_s"] <= LIMITS_S[arm] for arm in LIMITS_S},
        **told,
    }
    tell(result, as_json=args.json)


if __name__ == "__main__":
    main()
