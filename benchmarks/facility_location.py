"""Seconds for facility location on a sparse graph, against submodlib's LazyGreedy, which is dense.

Claim: 10,000 x 384, k = 500, at least 8 times as fast as submodlib with the graph's time included,
and an objective of at least 0.98 of exact greedy. All arms maximise the same function, the sum over
rows of the largest cosine to a pick, cosines below 0 taken as 0; every objective is computed on the
dense similarities. The dense lazy greedy in numpy is the second baseline; where submodlib-py is not
installed it is the only one, and the result says so.

    python benchmarks/facility_location.py [--quick] [--json] [--vectors FILE.npy] [--neighbours 64]
    python benchmarks/facility_location.py --alone --n 1000000 --k 10000 --cells 4096
"""

from __future__ import annotations

import argparse
import heapq
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from kcenter import Seconds, embeddings, peak_gb, ratios, spread, timed
from telling import machine, tell
from threadpoolctl import threadpool_limits

from gristmill.geometry.facility_location import Facilities, facility_location
from gristmill.geometry.knn import faiss, knn
from gristmill.geometry.vectors import Array, unit

LIMIT, QUALITY = 8.0, 0.98


def dense(points: Array) -> Array:
    """Return every cosine, 0 where it is negative: (n, n) float32."""
    similar: Array = points @ points.T
    return np.maximum(similar, 0, out=similar)


def by_submodlib(points: Array, k: int) -> list[int]:
    """Pick with submodlib's settings for a dense kernel that is given, and LazyGreedy."""
    from submodlib import FacilityLocationFunction

    function = FacilityLocationFunction(
        n=len(points), mode="dense", sijs=dense(points), separate_rep=False
    )
    found = function.maximize(
        budget=k,
        optimizer="LazyGreedy",
        stopIfZeroGain=False,
        stopIfNegativeGain=False,
        verbose=False,
        show_progress=False,
    )
    return [int(i) for i, _ in found]


def by_numpy(points: Array, k: int) -> list[int]:
    """Pick by exact lazy greedy on dense similarities."""
    similar = dense(points)
    cover = np.zeros(len(points), np.float32)
    heap = [(-gain, i, 0) for i, gain in enumerate(similar.sum(axis=1, dtype=np.float64).tolist())]
    heapq.heapify(heap)
    picks: list[int] = []
    while heap and len(picks) < k:
        _, i, seen = heap[0]
        if seen == len(picks):
            heapq.heappop(heap)
            picks.append(i)
            np.maximum(cover, similar[i], out=cover)
            continue
        gain = float(np.maximum(similar[i] - cover, 0).sum(dtype=np.float64))
        heapq.heapreplace(heap, (-gain, i, len(picks)))
    return picks


def ours(points: Array, k: int, neighbours: int, cells: int) -> tuple[Facilities, Seconds]:
    """Pick on the graph and return how long the graph took."""
    seconds, graph = timed(lambda: knn(points, neighbours, cells=cells))
    return facility_location(graph, k), seconds


def objective(points: Array, picks: list[int]) -> float:
    """Return the dense objective in bounded memory."""
    chosen = points[picks]
    parts = (points[i : i + 4096] @ chosen.T for i in range(0, len(points), 4096))
    return float(sum(np.maximum(part.max(axis=1), 0).sum(dtype=np.float64) for part in parts))


def installed() -> str:
    """Return submodlib's version, or nothing."""
    try:
        return version("submodlib-py")
    except PackageNotFoundError:
        return ""


def compare(points: Array, args: argparse.Namespace, k: int) -> dict[str, Any]:
    """Alternate the arms and compare what they reach."""
    arms = {"submodlib": by_submodlib} if installed() else {}
    arms |= {"numpy": by_numpy}
    times: dict[str, list[Seconds]] = {**{arm: [] for arm in arms}, "ours": [], "graph": []}
    values: dict[str, float] = {}
    for _ in range(args.repeats):
        for arm, pick in arms.items():
            seconds, picks = timed(lambda pick=pick: pick(points, k))
            times[arm].append(seconds)
            values[arm] = objective(points, picks)
        seconds, (found, graph_s) = timed(lambda: ours(points, k, args.neighbours, args.cells))
        times["ours"].append(seconds)
        times["graph"].append(graph_s)
        values["ours"] = objective(points, found.picks.tolist())
    first = next(iter(arms))
    return {
        **ratios(times[first], times["ours"]),
        "ratio_to_numpy": ratios(times["numpy"], times["ours"]),
        "baseline": spread(times[first])["median_s"],
        "baseline_is": f"submodlib-py {installed()}" if installed() else "numpy, no submodlib here",
        "unit": "s",
        "limit": LIMIT,
        "objective_rate": values["ours"] / values["numpy"],
        "objective_limit": QUALITY,
        "objectives": values,
        "gains_evaluated": found.evaluated,
        **{arm: spread(seconds) for arm, seconds in times.items()},
    }


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="4,000 points, k = 200, 3 repeats")
    parser.add_argument("--flat", action="store_true", help="no structure in the points")
    parser.add_argument("--vectors", help="a .npy file of (n, d) float32")
    parser.add_argument("--n", type=int, help="points")
    parser.add_argument("--k", type=int, help="picks")
    parser.add_argument("--neighbours", type=int, default=64)
    parser.add_argument("--cells", type=int, default=0, help="0: an exact graph")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--alone", action="store_true", help="one run of ours, no baseline")
    parser.add_argument("--threads", type=int, help="of every arm; all cores by default")
    args = parser.parse_args()
    with threadpool_limits(args.threads):
        measure(args)


def measure(args: argparse.Namespace) -> None:
    """Run the arms and print."""
    args.repeats = min(args.repeats, 3) if args.quick else args.repeats
    n, k = args.n or (4000 if args.quick else 10_000), args.k or (200 if args.quick else 500)
    points = unit(np.load(args.vectors)) if args.vectors else embeddings(n, flat=args.flat)
    told: dict[str, Any]
    if args.alone:
        (seconds, _), (found, graph) = timed(lambda: ours(points, k, args.neighbours, args.cells))
        value = objective(points, found.picks.tolist())
        told = {"seconds": seconds, "graph_s": graph[0], "objective": value}
    else:
        told = compare(points, args, k)
    result = {
        "name": "facility_location",
        "n": len(points),
        "k": k,
        "neighbours": args.neighbours,
        "cells": args.cells,
        "threads": args.threads,
        "data": args.vectors or ("flat" if args.flat else "clustered"),
        **told,
        "peak_gb": peak_gb(),
        "load": os.getloadavg()[0],
    }
    library = f"faiss {faiss().__version__}"
    sys.stdout.write(f"{machine('numpy')}, {library}, {args.repeats} alternating repeats\n")
    tell(result, as_json=args.json)


if __name__ == "__main__":
    main()
