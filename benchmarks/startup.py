"""How long `build-dataset --help` and `check` take, interpreter start included.

Claim: --help answers in 0.4 s and check in 1.5 s. Baseline: the interpreter alone, in
the same run. The arms alternate; every process starts cold, with its bytecode cached.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMITS_S = {"help": 0.4, "check": 1.5}
RECIPE = """name: startup
seeds: {path: seeds.jsonl}
engines: {generator: {use: scripted}}
stages:
  - use: filters.length
  - {use: generators.responses, n: 2}
  - {use: selectors.longest, k: 6}
"""


def arms(folder: Path, n_seeds: int) -> dict[str, list[str]]:
    """Return the command of every arm; `check` reads real rows of a recipe's usual size."""
    lines = [json.dumps({"instruction": f"Explain topic {i}."}) for i in range(n_seeds)]
    (folder / "seeds.jsonl").write_text("\n".join(lines))
    (folder / "recipe.yaml").write_text(RECIPE)
    command = [sys.executable, "-m", "gristmill"]
    return {
        "interpreter": [sys.executable, "-c", "pass"],
        "help": [*command, "--help"],
        "check": [*command, "check", "recipe.yaml"],
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
        "median_s": statistics.median(walls),
        "min_s": min(walls),
        "max_s": max(walls),
        "median_cpu_s": statistics.median(processor),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="5 repeats instead of 15")
    args = parser.parse_args()
    n_seeds, repeats = 1000, 5 if args.quick else 15
    with tempfile.TemporaryDirectory() as name:
        commands = arms(Path(name), n_seeds)
        for command in commands.values():
            seconds(command, Path(name))  # compiles the bytecode
        times: dict[str, list[tuple[float, float]]] = {arm: [] for arm in commands}
        for _ in range(repeats):
            for arm, command in commands.items():
                times[arm].append(seconds(command, Path(name)))
    told = {arm: summary(found) for arm, found in times.items()}
    load = os.getloadavg()[0]
    sys.stdout.write(
        f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, "
        f"Python {platform.python_version()}, {repeats} repeats, {n_seeds} seeds\n"
    )
    for arm, found in told.items():
        limit = f", limit {LIMITS_S[arm]} s" if arm in LIMITS_S else ""
        sys.stdout.write(
            f"{arm:12} median {found['median_s']:.3f} s "
            f"({found['min_s']:.3f} to {found['max_s']:.3f}), "
            f"processor {found['median_cpu_s']:.3f} s{limit}\n"
        )
    if args.json:
        base = told["interpreter"]["median_s"]
        result = {
            "name": "startup",
            "ratio": told["help"]["median_s"] / base,
            "baseline": base,
            "unit": "s",
            "limits_s": LIMITS_S,
            "repeats": repeats,
            "seeds": n_seeds,
            "load": load,
            **told,
        }
        sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
