"""What the path itself costs: answers per second of processor time, and the engines it can feed.

    python benchmarks/path_throughput.py [--quick] [--json]

The engine answers at once, so all that is left is ours: rows, requests, keys, a durable commit of
every answer, shards, dataset. The baseline asks the same engine for the same answers in a bare loop
and keeps them in a list. Then, on Ray, what the driver and a worker spend on an answer; then the
answer store alone as it grows; then a simulation with real lengths: with a driver that hands out so
many requests per second, how busy are 1, 8, 64 and 512 engines? GRISTMILL_DATA names the folder
with the rows whose lengths these are.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import psutil
from telling import data_folder, machine, tell

from gristmill.engines import cluster
from gristmill.engines.base import Engine
from gristmill.engines.requests import Completion, Generate, Op, Sampling
from gristmill.pipelines import Recipe, run
from gristmill.pipelines.runners import LocalRunner, RayRunner
from gristmill.storage.answers import Answers
from gristmill.storage.ids import digest

PER_ROW = 4
TEXT = "An answer of about a hundred words says one thing after the other. " * 9
SLOTS, STEP_S = 256, 0.025
"""Of one engine: requests that decode together, and seconds for a token of each (7B, one GPU)."""


class Instant(Engine):
    """Answers at once."""

    ops: ClassVar[frozenset[Op]] = frozenset({"generate"})

    @property
    def identity(self) -> str:
        """Name it."""
        return "instant"

    async def generate(self, request: Generate) -> Completion:
        """Write the same as ever, with the draw in front."""
        return Completion(f"{request.draw} {TEXT}", "stop", 100, 150)


def seeds(rows: int) -> list[dict[str, str]]:
    """Return instructions that differ."""
    return [{"instruction": f"Write about topic {i}."} for i in range(rows)]


def through_gristmill(rows: int, runner: LocalRunner) -> float:
    """Return the driver's seconds of processor time for a whole run."""
    recipe = Recipe(
        name="path", seed=1, stages=[{"use": "generators.responses", "n": PER_ROW}],
        export={"card": False, "report": False},
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        made = run(recipe, seeds(rows), {"generator": Instant()}, runner, Path(folder))
        spent = time.process_time() - started
    if made.note["calls"]["made"] != rows * PER_ROW:
        raise RuntimeError(f"{made.note['calls']} is not {rows} x {PER_ROW} calls")
    return spent


def in_a_loop(rows: int) -> float:
    """Return the seconds of processor time that the bare loop takes."""
    engine, kept = Instant(), []

    async def one(row: dict[str, str]) -> None:
        for draw in range(PER_ROW):
            request = Generate([{"role": "user", "content": row["instruction"]}], Sampling(), draw)
            kept.append((await engine.generate(request)).text)

    async def go() -> None:
        await asyncio.gather(*map(one, seeds(rows)))

    started = time.process_time()
    asyncio.run(go())
    return time.process_time() - started


def watch(spent: dict[int, float], over: threading.Event) -> None:
    """Note the processor time of Ray's workers while they live."""
    while not over.wait(0.2):
        for process in psutil.process_iter(["cmdline", "cpu_times"]):
            if "ray::Palm" in " ".join(process.info["cmdline"] or []):
                user, system, *_ = process.info["cpu_times"]
                spent[process.pid] = user + system


def on_ray(rows: int) -> dict[str, float]:
    """Return answers per second of the driver's processor time, and of the worker's."""
    runner, spent, over = RayRunner(workers=1), dict[int, float](), threading.Event()
    runner.wake()
    cluster.connect()
    watcher = threading.Thread(target=watch, args=(spent, over))
    watcher.start()
    try:
        driver_s = through_gristmill(rows, runner)
    finally:
        over.set()
        watcher.join()
        cluster.release()
    answers, worker_s = rows * PER_ROW, max(spent.values())
    return {"ray_driver": round(answers / driver_s), "ray_worker": round(answers / worker_s)}


def store_rates(sizes: list[int], n: int = 20_000) -> Iterator[tuple[str, int]]:
    """Fill one store up to each size; yield durable writes and reads per second there.

    `reads` come in no order, `replays` in the order in which the answers were written.
    """
    answer, rng = TEXT.encode(), random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        store = Answers(Path(folder) / "answers.sqlite")
        filled = 0
        for size in sizes:
            fill(Path(folder) / "answers.sqlite", filled, size - n, answer)

            async def write(first: int) -> None:
                await asyncio.gather(*(store.put(key(i), answer) for i in range(first, first + n)))

            started = time.perf_counter()
            asyncio.run(write(size - n))
            yield f"writes_at_{size}", round(n / (time.perf_counter() - started))
            first = rng.randrange(size - n)
            for order, wanted in (
                ("reads", [key(rng.randrange(size)) for _ in range(n)]),
                ("replays", [key(i) for i in range(first, first + n)]),
            ):
                started = time.perf_counter()
                found = sum(store.get(one) == answer for one in wanted)
                yield f"{order}_at_{size}", round(n / (time.perf_counter() - started))
                if found != n:
                    raise RuntimeError(f"{n - found} of {n} answers are missing")
            filled = size
        store.close()


def key(i: int) -> str:
    """Return a key as the store gets them: they come in no order."""
    return digest(i)


def fill(path: Path, first: int, end: int, answer: bytes) -> None:
    """Put answers straight into the file; nobody waits for these."""
    with sqlite3.connect(path) as store:
        store.execute("PRAGMA synchronous = OFF")
        store.execute(f"PRAGMA cache_size = {-(2**20)}")
        for start in range(first, end, 100_000):
            rows = ((key(i), answer) for i in range(start, min(end, start + 100_000)))
            store.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?)", rows)
            store.commit()
    os.sync()  # or the first durable writes wait for all of these


def lengths(data: Path) -> list[int]:
    """Return lengths of real answers in tokens, as four thirds of their words."""
    rows = json.loads((data / "alpaca/random_9k.json").read_text())
    return [max(1, len(row["output"].split()) * 4 // 3) for row in rows]


def busy(engines: int, rate: float, tokens: list[int], per_engine: int) -> float:
    """Return the share of all slots that decode, from the start until the last request is gone out.

    Every engine has `SLOTS` slots and at most as many requests again that wait inside; the driver
    hands out one request every 1/`rate` seconds to an engine that has room, the emptiest first.
    """
    rng = random.Random(0)
    waiting = deque(rng.choices(tokens, k=per_engine * engines))
    free, inside = [SLOTS] * engines, [deque[int]() for _ in range(engines)]
    room = [(0, e) for e in range(engines)]  # (requests held, engine)
    held = [0] * engines
    ends: list[tuple[float, int]] = []
    now, worked = 0.0, 0.0
    while waiting:
        now += 1 / rate
        while ends and (ends[0][0] <= now or not _has_room(room, held)):
            at, e = heapq.heappop(ends)
            now = max(now, at)
            held[e] -= 1
            heapq.heappush(room, (held[e], e))
            if inside[e]:
                heapq.heappush(ends, (at + inside[e].popleft() * STEP_S, e))
            else:
                free[e] += 1
        _has_room(room, held)
        _, e = heapq.heappop(room)
        length = waiting.popleft()
        worked += length * STEP_S
        held[e] += 1
        heapq.heappush(room, (held[e], e))
        if free[e]:
            free[e] -= 1
            heapq.heappush(ends, (now + length * STEP_S, e))
        else:
            inside[e].append(length)
    worked -= sum(max(0.0, at - now) for at, _ in ends)
    worked -= sum(sum(one) * STEP_S for one in inside)
    return worked / (now * SLOTS * engines)


def _has_room(room: list[tuple[int, int]], held: list[int]) -> bool:
    """Say whether an engine takes one more; what the heap remembers wrongly is dropped."""
    while room and room[0][0] != held[room[0][1]]:
        heapq.heappop(room)
    return bool(room) and room[0][0] < 2 * SLOTS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="2,000 rows, a small store")
    args = parser.parse_args()
    tokens = lengths(data_folder())
    rows, arms = (1000, 3) if args.quick else (5000, 5)
    sizes = [100_000] if args.quick else [100_000, 1_000_000, 10_000_000]
    sys.stdout.write(
        f"{machine('ray', 'pyarrow')}, {rows} rows of {PER_ROW} answers, {arms} arms\n"
    )
    through_gristmill(100, LocalRunner())
    answers = rows * PER_ROW
    pairs = [(through_gristmill(rows, LocalRunner()), in_a_loop(rows)) for _ in range(arms)]
    rates = [answers / ours for ours, _ in pairs]
    result: dict[str, object] = {
        "name": "path_throughput", "unit": "answers/s per core",
        "ratio": round(statistics.median(theirs / ours for ours, theirs in pairs), 4),
        "baseline": round(statistics.median(answers / theirs for _, theirs in pairs)),
        "one_process": round(statistics.median(rates)),
        "one_process_arms": [round(rate) for rate in sorted(rates)],
    }  # fmt: skip
    result |= on_ray(rows)
    result |= dict(store_rates(sizes))
    result["mean_tokens"] = round(statistics.mean(tokens))
    for engines in (1, 8, 64, 512):
        for rate in (1000, 5000, 25_000, 125_000):
            share = busy(engines, rate, tokens, 400 if args.quick else 4000)
            result[f"busy_{engines}_engines_at_{rate}"] = round(share, 3)
    tell(result, as_json=args.json)


if __name__ == "__main__":
    main()
