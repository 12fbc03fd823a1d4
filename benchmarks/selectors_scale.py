"""Time and peak memory of every selector at 10,000, 100,000 and 1,000,000 rows.

Goal: seconds grow as n to the power of at most 1.15; a selector that grows faster says so in its
docstring and refuses a table above a limit, with the name of the alternative. Selectors are found
by walking the folder. Each runs in a process of its own, on made-up rows: vectors around 400
centres, texts of a dozen words, twenty labels, numbers. The power is fitted to processor seconds by
least squares on logarithms; the peak is that of the process, the table included. `k` is 1,000
everywhere: what grows with k grows further (k-center: n k). A size is left out where the one
before, times 15, is beyond `--limit-s`, and says so. One thread.

    python benchmarks/selectors_scale.py [--quick] [--json] [--only kmq paser] [--width 64]
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import math
import pkgutil
import resource
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

import numpy as np
import pyarrow as pa
from telling import machine, tell
from threadpoolctl import threadpool_limits

from gristmill import selectors
from gristmill.errors import GristmillError
from gristmill.pipelines import TableStage
from gristmill.storage.rows import CONTENT

GOAL, LIMIT_GB, GROWTH = 1.15, 8.0, 15
WORDS = [f"word{i}" for i in range(3000)]
ALL = [module.name for module in pkgutil.iter_modules(selectors.__path__)]
TRAINED = ("instruct_mining",)
"""Its time is that of trainings."""
GIVEN: dict[str, dict[str, Any]] = {
    "contrastive": {"answer": "answer"},
    "infinity_phase1": {"target": WORDS[:50]},
    "scale_bio": {"shares": [["0", 0.5], ["1", 0.5]]},
    "skill_it": {"edges": [["0", "1", 1.0]], "rounds": 1},
    "stat_sel": {"profile": ['["1", "2"]'] * 200, "by": "labels"},
}
SPARSE: dict[str, Callable[[int], dict[str, int]]] = {
    "facility_location": lambda n: {"cells": round(4 * n**0.5)},
    "paser": lambda _: {"sample": 5_000},
}
"""The alternatives that refusals name, for n rows: a second line of the table."""
LABELS = ("by", "columns")


def build(name: str, n: int, *, sparse: bool) -> TableStage:
    """Return a selector for `n` rows: its defaults, `k` of 1,000, and what has no default."""
    module = importlib.import_module(f"gristmill.selectors.{name}")
    cls = next(
        found
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, TableStage) and found.__module__ == module.__name__
    )
    usual = {"k": 1000, "of": "number"}
    fields = cls.model_fields
    given = {key: v for key, v in usual.items() if key in fields and fields[key].is_required()}
    alternative = SPARSE[name](n) if sparse else {}
    stage: TableStage = cls(**given, **GIVEN.get(name, {}), **alternative)
    return stage


def vectors(n: int, width: int, rng: np.random.Generator) -> pa.Array:
    """Return unit vectors around 400 centres as a list column."""
    points = rng.standard_normal((n, width), np.float32) * np.float32(0.7)
    points += rng.standard_normal((400, width), np.float32)[rng.integers(0, 400, n)]
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    ends = pa.array(np.arange(0, n * width + 1, width, dtype=np.int32))
    return pa.ListArray.from_arrays(ends, pa.array(points.reshape(-1)))


def table_of(stage: TableStage, n: int, width: int) -> pa.Table:
    """Return what the selector reads, made up."""
    rng = np.random.default_rng(0)
    named = {
        name
        for field in LABELS
        for value in [getattr(stage, field, ())]
        for name in ([value] if isinstance(value, str) else value)
    }
    phrases = [
        " ".join(words) for words in np.array(WORDS)[rng.integers(0, len(WORDS), (5000, 12))]
    ]
    made: dict[str, Any] = {"id": pa.array([f"{i:08}" for i in rng.permutation(n)])}
    for name in sorted(stage.reads() - (stage.optional() - {"output", "instruction"})):
        if name.endswith(".vector"):
            made[name] = vectors(n, width, rng)
        elif name in named:
            made[name] = pa.array([str(label) for label in rng.integers(0, 20, n)])
        elif name == "answer" or CONTENT.get(name) == pa.string():
            made[name] = pa.array([f"{phrases[i % 5000]} {i}" for i in range(n)])
        else:
            made[name] = pa.array(rng.random(n) * 5 + 1)
    missing = stage.optional() - made.keys()
    return pa.table({**made, **{name: pa.nulls(n) for name in missing}})


def decide(stage: TableStage, table: pa.Table) -> pa.Table:
    """Call the selector; one that awaits gets no context, because it trains nothing here."""
    if stage.awaits():
        return asyncio.run(stage.decide(table, None))
    return stage.decide(table)


def alone(name: str, n: int, width: int, *, sparse: bool) -> dict[str, Any]:
    """Measure one selector at one size in this process."""
    stage = build(name, n, sparse=sparse)
    decide(stage, table_of(stage, 200, width))  # imports
    table = table_of(stage, n, width)
    wall, own = time.perf_counter(), time.process_time()
    try:
        with threadpool_limits(1):  # on a busy machine threads wait for each other
            kept = sum(decide(stage, table)["keep"].to_pylist())
    except (GristmillError, ValueError) as error:
        return {"n": n, "refused": str(error)}
    return {
        "n": n,
        "seconds": time.perf_counter() - wall,
        "cpu_s": time.process_time() - own,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "kept": kept,
    }


def scaled(name: str, sizes: list[int], args: argparse.Namespace, *, sparse: bool) -> Any:
    """Measure one selector at every size, each in a process of its own."""
    found: list[dict[str, Any]] = []
    for n in sizes:
        refuses = name in SPARSE and not sparse
        if found and found[-1].get("cpu_s", 0) * GROWTH > args.limit_s and not refuses:
            found.append({"n": n, "left_out": f"beyond {args.limit_s:.0f} s"})
            break
        with get_context("fork").Pool(1) as fresh:  # nothing is measured in this process
            found.append(fresh.apply(alone, (name, n, args.width), {"sparse": sparse}))
        if "refused" in found[-1]:
            break
    there = [line for line in found if "cpu_s" in line]
    line = {"selector": name + (" sparse" if sparse else ""), "sizes": found}
    if len(there) > 1:
        x = [math.log(point["n"]) for point in there]
        y = [math.log(max(point["cpu_s"], 1e-4)) for point in there]
        line["power"] = statistics.linear_regression(x, y).slope
    line["peak_gb"] = max((point["peak_gb"] for point in there), default=None)
    return line


def show(line: dict[str, Any]) -> None:
    """Print one selector."""
    power = f"n^{line['power']:.2f}" if "power" in line else "n^?"
    said = []
    for point in line["sizes"]:
        text = point.get("refused", point.get("left_out"))
        said.append(
            f"{point['n']:,}: {text}" if text else
            f"{point['n']:,}: {point['cpu_s']:.2f} s, {point['peak_gb']:.2f} GB"
        )  # fmt: skip
    sys.stdout.write(f"{line['selector']:26} {power:7} {'; '.join(said)}\n")
    sys.stdout.flush()


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument(
        "--quick", action="store_true", help="1,000 and 10,000 rows, four selectors"
    )
    parser.add_argument("--only", nargs="+", choices=ALL)
    parser.add_argument("--width", type=int, default=64, help="numbers of a vector")
    parser.add_argument("--limit-s", type=float, default=300)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    args = parser.parse_args()
    names = args.only or [name for name in ALL if name not in TRAINED]
    sizes = args.sizes
    if args.quick:
        names, sizes = (
            args.only or ["top_k", "mixture", "k_center", "facility_location"],
            [1000, 10_000],
        )
    lines = []
    for name in names:
        for sparse in (False, True)[: 1 + (name in SPARSE)]:
            lines.append(scaled(name, sizes, args, sparse=sparse))
            show(lines[-1])
    powers = [line["power"] for line in lines if "power" in line]
    result = {
        "name": "selectors_scale",
        "ratio": max(powers),
        "baseline": GOAL,
        "unit": "power of n",
        "beyond": [line["selector"] for line in lines if line.get("power", 0) > GOAL],
        "above_8_gb": [line["selector"] for line in lines if (line["peak_gb"] or 0) > LIMIT_GB],
        "lines": lines,
    }
    sys.stdout.write(f"{machine('numpy', 'pyarrow')}\n")
    tell(result, as_json=args.json)


if __name__ == "__main__":
    main()
