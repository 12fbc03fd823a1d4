"""What it costs that an answer outlives a power cut: fsync at every commit against none.

    python benchmarks/commits.py [--quick] [--json]

Claim (ADR 0002): with the answers of one machine under way at once, next to nothing, because
those that come during one fsync share the next. Ours is the store as it is; the baseline is the
same store with `synchronous=NORMAL`, where the last commits before a power cut may be lost.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

from telling import machine, tell

from gristmill.storage.answers import Answers

ANSWER = b"x" * 700
"""Bytes of a completion of a hundred words."""


class Normal(Answers):
    """The baseline."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._writes.execute("PRAGMA synchronous = NORMAL")


def rate(store: type[Answers], callers: int, seconds: float) -> float:
    """Return answers per second of so many callers, each waiting for its own."""
    with tempfile.TemporaryDirectory() as folder:
        answers = store(Path(folder) / "answers.sqlite")
        numbers, start = count(), time.perf_counter()

        async def call() -> None:
            while time.perf_counter() - start < seconds:
                await answers.put(f"{next(numbers):032d}", ANSWER)

        async def go() -> None:
            await asyncio.gather(*(call() for _ in range(callers)))

        asyncio.run(go())
        answers.close()
        return next(numbers) / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="half a second an arm, not three")
    args = parser.parse_args()
    seconds, arms = 0.5 if args.quick else 3.0, 5
    sys.stdout.write(f"{machine()}, {arms} alternating arms of {seconds} s\n")
    result: dict[str, object] = {"name": "commits", "unit": "answers/s"}
    for callers in (1, 64, 512):
        pairs = [[rate(s, callers, seconds) for s in (Answers, Normal)] for _ in range(arms)]
        ours, theirs = (statistics.median(arm) for arm in zip(*pairs, strict=True))
        ratios = [a / b for a, b in pairs]
        result |= {
            f"callers_{callers}": round(ours),
            f"baseline_{callers}": round(theirs),
            f"ratios_{callers}": [round(ratio, 2) for ratio in sorted(ratios)],
        }
    # What the engines of one machine have under way: 512 requests of vLLM at its defaults.
    result |= {"ratio": round(statistics.median(ratios), 2), "baseline": round(theirs)}
    tell(result, as_json=args.json)


if __name__ == "__main__":
    main()
