"""Seconds for k-center, against the common loop over `sklearn.metrics.pairwise_distances`.

Claim: 52,000 x 384, k = 1,000, at least 8 times as fast, with the same picks. The third arm is the
plain pass in numpy, one matrix-vector product over all points per pick: its bytes per second are
what this machine's memory gives, and what pruning has to beat. Points are made up: unit vectors
around 400 centres with a falling spectrum, as sentence embeddings have; `--flat` takes directions
that are all equally likely, the worst case for any pruning, `--vectors FILE.npy` your own.

    python benchmarks/kcenter.py [--quick] [--json] [--flat] [--vectors FILE.npy]
    python benchmarks/kcenter.py --alone --n 1000000 --k 10000
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from telling import machine, tell
from threadpoolctl import threadpool_limits

from gristmill.geometry.k_center import Centers, k_center
from gristmill.geometry.vectors import Array, unit

WIDTH = 384
LIMIT = 8.0


def embeddings(n: int, *, flat: bool, seed: int = 0) -> Array:
    """Return made-up unit vectors, (n, 384) float32, in bounded memory."""
    rng = np.random.default_rng(seed)
    if flat:
        return unit(rng.standard_normal((n, WIDTH), np.float32))
    spectrum = (1 / np.sqrt(np.arange(1, WIDTH + 1))).astype(np.float32)
    centres = rng.standard_normal((400, WIDTH), np.float32) * spectrum
    points = rng.standard_normal((n, WIDTH), np.float32)
    points *= 0.7 * spectrum
    points += centres[rng.integers(0, len(centres), n)]
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points


def by_sklearn(points: Array, k: int) -> list[int]:
    """Pick as most public code does: one call per pick, the nearest distance kept."""
    from sklearn.metrics import pairwise_distances

    picks = [0]
    near = pairwise_distances(points, points[:1])[:, 0]
    while len(picks) < k:
        picks.append(int(near.argmax()))
        near = np.minimum(near, pairwise_distances(points, points[picks[-1:]])[:, 0])
    return picks


def by_passes(points: Array, k: int) -> list[int]:
    """Pick by one matrix-vector product over all points per pick; unit vectors only."""
    picks = [0]
    near = points @ points[0]
    while len(picks) < k:
        picks.append(int(near.argmin()))
        np.maximum(near, points @ points[picks[-1]], out=near)
    return picks


Seconds = tuple[float, float]
"""Of the clock and of the processor, which says more on a busy machine."""


def timed(call: Callable[[], Any]) -> tuple[Seconds, Any]:
    """Return seconds and the result."""
    start, before = time.perf_counter(), time.process_time()
    result = call()
    return (time.perf_counter() - start, time.process_time() - before), result


def spread(times: list[Seconds]) -> dict[str, float]:
    """Return median and range."""
    walls, processor = zip(*times, strict=True)
    return {
        "median_s": statistics.median(walls),
        "min_s": min(walls),
        "max_s": max(walls),
        "median_cpu_s": statistics.median(processor),
    }


def ratios(base: list[Seconds], own: list[Seconds]) -> dict[str, float]:
    """Return how many times as long the baseline took, repeat by repeat."""
    pairs = list(zip(base, own, strict=True))
    walls = [first[0] / second[0] for first, second in pairs]
    return {
        "ratio": statistics.median(walls),
        "ratio_min": min(walls),
        "ratio_max": max(walls),
        "ratio_cpu": statistics.median([first[1] / second[1] for first, second in pairs]),
    }


def same(first: list[int], second: list[int]) -> float:
    """Return the share of picks that are equal, place by place."""
    return sum(a == b for a, b in zip(first, second, strict=True)) / len(first)


def compare(points: Array, k: int, repeats: int) -> dict[str, Any]:
    """Alternate the arms and compare what they pick."""
    times: dict[str, list[Seconds]] = {"sklearn": [], "passes": [], "ours": []}
    for _ in range(repeats):
        base, theirs = timed(lambda: by_sklearn(points, k))
        plain, passes = timed(lambda: by_passes(points, k))
        seconds, ours = timed(lambda: k_center(points, k, "first"))
        for arm, value in zip(times, (base, plain, seconds), strict=True):
            times[arm].append(value)
    picks = ours.picks.tolist()
    told = {arm: spread(values) for arm, values in times.items()}
    step = told["passes"]["median_s"] / k
    return {
        **ratios(times["sklearn"], times["ours"]),
        "ratio_to_passes": ratios(times["passes"], times["ours"]),
        "baseline": told["sklearn"]["median_s"],
        "unit": "s",
        "limit": LIMIT,
        "same_picks_as_sklearn": same(picks, theirs),
        "same_picks_as_passes": same(picks, passes),
        "passes_gb_per_s": points.nbytes / step / 1e9,
        "ours_as_gb_per_s": points.nbytes * k / told["ours"]["median_s"] / 1e9,
        **alone(ours, points),
        **told,
    }


def peak_gb() -> float:
    """Return the most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def alone(found: Centers, points: Array) -> dict[str, Any]:
    """Return what one arm says about itself."""
    return {
        "distances_evaluated_rate": found.evaluated / (len(points) * len(found.picks)),
        "radius": found.radius,
        "peak_gb": peak_gb(),
    }


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="10,000 points, k = 500")
    parser.add_argument("--flat", action="store_true", help="no structure: the worst case")
    parser.add_argument("--vectors", help="a .npy file of (n, d) float32")
    parser.add_argument("--n", type=int, help="points")
    parser.add_argument("--k", type=int, help="picks")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--alone", action="store_true", help="one run of ours, no baseline")
    parser.add_argument("--threads", type=int, help="of every arm; all cores by default")
    args = parser.parse_args()
    with threadpool_limits(args.threads):
        measure(args)


def measure(args: argparse.Namespace) -> None:
    """Run the arms and print."""
    n, k = args.n or (10_000 if args.quick else 52_000), args.k or (500 if args.quick else 1000)
    points = unit(np.load(args.vectors)) if args.vectors else embeddings(n, flat=args.flat)
    data = args.vectors or ("flat" if args.flat else "clustered")
    if args.alone:
        (seconds, _), found = timed(lambda: k_center(points, k, "first"))
        told: dict[str, Any] = {"seconds": seconds, **alone(found, points)}
    else:
        told = compare(points, k, args.repeats)
    result = {
        "name": "kcenter",
        "n": len(points),
        "d": points.shape[1],
        "k": k,
        "data": data,
        **told,
    }
    result["load"] = os.getloadavg()[0]
    names = machine("numpy", "scikit-learn")
    sys.stdout.write(f"{names}, {args.repeats} alternating repeats\n")
    tell(result, as_json=args.json)


if __name__ == "__main__":
    main()
