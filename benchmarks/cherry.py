"""What the recipe `cherry` has in common with the selection that the authors of Cherry published.

The pool is 9,229 rows that somebody drew from Alpaca by chance; `cherry_5_percent` is what was
published of all 52,002. The recipe picks as many of the pool as the publication has there, so that
chance would share the publication's part of the pool, about 6 %. No goal: with `demo`, a model of
three million parameters that has read code, little more than chance can be expected; with the
paper's Llama-7B (`--model`) this is the check. Both files are from the folder that GRISTMILL_DATA
names. The interval is that of as many draws by chance.

    python benchmarks/cherry.py [--quick] [--json] [--rows 9229] [--model NAME]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from math import sqrt
from typing import Any

import numpy as np
from telling import data_folder, machine, tell

from gristmill.pipelines import Recipe, run

COLUMNS = ("instruction", "input", "output")


def read(name: str) -> list[dict[str, str]]:
    """Return the texts of a file of Alpaca rows."""
    path = data_folder() / "alpaca" / f"{name}.json"
    return [{column: row[column] for column in COLUMNS} for row in json.loads(path.read_text())]


def key(row: dict[str, Any]) -> tuple[str, ...]:
    """Return what a row says."""
    return tuple(row.get(column) or "" for column in COLUMNS)


def selected(rows: list[dict[str, str]], k: int, model: str) -> set[tuple[str, ...]]:
    """Return what the recipe keeps."""
    sets = [f"stages.-1.k={k}", f"engines.scorer.model={model}"]
    recipe = Recipe.load("cherry", sets)
    with tempfile.TemporaryDirectory() as folder:
        return {key(row) for row in run(recipe, rows, workspace=folder).dataset.to_pylist()}


def main() -> None:
    """Read the arguments, run, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="1,000 rows")
    parser.add_argument("--rows", type=int, default=9229)
    parser.add_argument("--model", default="demo")
    args = parser.parse_args()
    rows = read("random_9k")[: 1000 if args.quick else args.rows]
    published = {key(row) for row in read("cherry_5_percent")} & {key(row) for row in rows}
    start = time.perf_counter()
    ours = selected(rows, len(published), args.model)
    rate = len(published) / len(rows)
    wanted = len(ours) * rate
    words = {
        name: float(np.median([len(part[2].split()) for part in some]))
        for name, some in (("ours", ours), ("published", published), ("pool", map(key, rows)))
    }
    result = {
        "name": "cherry",
        "ratio": len(ours & published) / wanted,
        "baseline": wanted,
        "unit": "rows in common",
        "in_common": len(ours & published),
        "interval_by_chance": [wanted + z * sqrt(wanted * (1 - rate)) for z in (-1.96, 1.96)],
        "picked": len(ours),
        "published_in_pool": len(published),
        "pool": len(rows),
        "words_of_answers": words,
        "model": args.model,
        "seconds": time.perf_counter() - start,
    }
    sys.stdout.write(f"{machine('torch', 'transformers')}\n")
    tell(result, as_json=args.json)


if __name__ == "__main__":
    main()
