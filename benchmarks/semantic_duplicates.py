"""semantic_duplicates: rows per second given embeddings, against semhash on the same embeddings.

The claim: comparing all pairs exactly, block by block, is no slower than an approximate index at
the sizes of a dataset, and misses nothing. The baseline builds semhash's index and asks it about
every row; it is left out where semhash is not installed (`pip install semhash`). Points are made
up: unit vectors around centres, so that a known share of them are near one another.

    python benchmarks/semantic_duplicates.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from telling import machine, tell

from gristmill.filters.semantic_duplicates import SemanticDuplicates
from gristmill.geometry.vectors import Array, unit

WIDTH, THRESHOLD, ARMS = 384, 0.95, 5
SHARE = 0.2
"""Of rows that are a copy with a little noise, at a cosine of 0.97."""


def points(n: int) -> Array:
    """Return vectors of length 1, (n, 384) float32, of which a fifth follow another one."""
    rng = np.random.default_rng(0)
    made = unit(rng.standard_normal((n, WIDTH), np.float32))
    copies = np.arange(1, n, int(1 / SHARE))
    noise = unit(rng.standard_normal((len(copies), WIDTH), np.float32))
    made[copies] = unit(made[copies - 1] + 0.25 * noise)
    return made


def by_stage(vectors: Array, cells: int = 0) -> set[int]:
    """Return the places that the stage keeps."""
    flat = pa.array(vectors.ravel())
    column = pa.FixedSizeListArray.from_arrays(flat, WIDTH).cast(pa.list_(pa.float32()))
    ids = [f"{i:09}" for i in range(len(vectors))]
    table = pa.table({"id": ids, "scores.embedding.vector": column})
    keep = SemanticDuplicates(threshold=THRESHOLD, cells=cells).decide(table)["keep"].to_pylist()
    return {i for i, kept in enumerate(keep) if kept}


def by_semhash(vectors: Array) -> set[int]:
    """Return the places that semhash keeps: the baseline."""
    from semhash import SemHash

    class Known:
        """Stands for the model: nothing is embedded again."""

        def encode(self, texts: Any, **_: Any) -> Array:
            return vectors[[int(text) for text in texts]]

    names = [str(i) for i in range(len(vectors))]
    made = SemHash.from_embeddings(vectors, names, model=Known())
    return {int(name) for name in made.self_deduplicate(threshold=THRESHOLD).selected}


def rate(call: Callable[[Array], set[int]], vectors: Array) -> tuple[float, set[int]]:
    """Return rows per second of the clock, and what is kept."""
    start = time.perf_counter()
    kept = call(vectors)
    return len(vectors) / (time.perf_counter() - start), kept


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    vectors = points(4_000 if args.quick else 20_000)
    ours, theirs, kept, other = list[float](), list[float](), set[int](), set[int]()
    result: dict[str, object] = {"name": "semantic_duplicates", "ratio": None, "baseline": None}
    try:
        for _ in range(ARMS):
            speed, other = rate(by_semhash, vectors)
            theirs.append(speed)
            speed, kept = rate(by_stage, vectors)
            ours.append(speed)
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        result |= {
            "ratio": round(statistics.median(ratios), 2),
            "spread": f"{min(ratios):.2f} to {max(ratios):.2f}",
            "baseline": round(statistics.median(theirs)),
            "kept by semhash": len(other),
            "kept by one alone": len(kept ^ other),
        }
    except ImportError as error:
        result["baseline"] = f"not measured: {error}; pip install semhash"
        for _ in range(ARMS):
            speed, kept = rate(by_stage, vectors)
            ours.append(speed)
    cells, some = rate(lambda given: by_stage(given, cells=50), vectors)
    result |= {
        "unit": "rows/s",
        "rows/s": round(statistics.median(ours)),
        "kept": len(kept),
        "rows/s in 50 cells": round(cells),
        "kept in 50 cells": len(some),
        "rows": len(vectors),
        "width": WIDTH,
        "threshold": THRESHOLD,
        "arms": ARMS,
    }
    tell({**result, "machine": machine("numpy")}, as_json=args.json)


if __name__ == "__main__":
    main()
