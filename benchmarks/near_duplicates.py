"""near_duplicates: rows per second of the whole stage, what it finds, and how it grows.

The claim: to cut, sketch, propose, verify and keep costs at most three times as much as inserting
and querying bare sketches of whole words with rensa, which proposes and decides nothing. The
second baseline is the same loop with datasketch, left out where it is not installed. Recall and
precision are those of the rows that leave, against all pairs, on real rows with planted edits; they
need GRISTMILL_DATA, the folder with Alpaca, Dolly and Code Alpaca, and are left out without it.

    python benchmarks/near_duplicates.py [--quick] [--json]
    python benchmarks/near_duplicates.py --alone --n 1000000
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from telling import machine, tell

from gristmill.filters.near_duplicates import NearDuplicates

WORDS, VOCABULARY = 80, 20_000
TOGETHER = 10_000
"""Texts that are made together."""
PERMUTATIONS, BANDS = 128, 32
ARMS = 5
FILES = (
    "alpaca/random_9k.json",
    "alpaca/claude_t45.json",
    "dolly/dolly_3k.json",
    "code_alpaca/code_alpaca_2k.json",
)
SHARES = (0.7, 0.8, 0.9)


def made_up(n: int) -> Iterator[list[str]]:
    """Yield texts of 80 words of chance; every tenth is an earlier one with an end of its own."""
    rng = np.random.default_rng(0)
    known = np.array([f"word{i}" for i in range(VOCABULARY)], object)
    for start in range(0, n, TOGETHER):
        size = min(TOGETHER, n - start)
        texts = list(map(" ".join, known[rng.integers(0, VOCABULARY, (size, WORDS))]))
        for i in range(10, size, 10):
            texts[i] = f"{texts[i - 7]} and more {start + i}"
        yield texts


def table(texts: Sequence[str], start: int = 0) -> pa.Table:
    """Return texts as the instructions of rows."""
    n = len(texts)
    columns = {"id": [f"{start + i:09}" for i in range(n)], "instruction": texts}
    return pa.table({**columns, "input": pa.nulls(n, pa.string()), "messages": pa.nulls(n)})


def by_stage(texts: Sequence[str]) -> list[bool]:
    """Keep rows as the stage does."""
    kept: list[bool] = NearDuplicates().decide(table(texts))["keep"].to_pylist()
    return kept


def by_rensa(texts: Sequence[str]) -> int:
    """Insert and query the words of every text: the baseline. It decides nothing."""
    from rensa import RMinHash, RMinHashLSH

    index, n = RMinHashLSH(0.7, PERMUTATIONS, BANDS), 0
    for i, text in enumerate(texts):
        sketch = RMinHash(PERMUTATIONS, 1)
        sketch.update(text.split())
        n += bool(index.query(sketch))
        index.insert(i, sketch)
    return n


def by_datasketch(texts: Sequence[str]) -> int:
    """Do the same with datasketch."""
    from datasketch import MinHash, MinHashLSH

    index, n = MinHashLSH(params=(BANDS, PERMUTATIONS // BANDS), num_perm=PERMUTATIONS), 0
    for i, text in enumerate(texts):
        sketch = MinHash(PERMUTATIONS)
        sketch.update_batch([word.encode() for word in text.split()])
        n += bool(index.query(sketch))
        index.insert(i, sketch)
    return n


def rate(call: Callable[[Sequence[str]], Any], texts: Sequence[str]) -> float:
    """Return rows per second of the clock."""
    start = time.perf_counter()
    call(texts)
    return len(texts) / (time.perf_counter() - start)


def words(text: str) -> list[str]:
    """Return letters and digits only, so that every way to cut words agrees."""
    return re.findall(r"[^\W_]+", text.casefold())


def runs(text: str) -> frozenset[tuple[str, ...]]:
    """Return the runs of five words of a text, or the one that it is."""
    said = words(text)
    return frozenset(tuple(said[i : i + 5]) for i in range(max(len(said) - 4, bool(said))))


def edited(text: str, share: float) -> str | None:
    """Return a text with so many words in its middle replaced that it just keeps the share."""
    said = words(text)
    n = len(runs(text))
    new = int(n * (1 - share) / (1 + share)) - 4
    if new < 1 or len(said) < 3 * new:
        return None
    middle = (len(said) - new) // 2
    return " ".join([*said[:middle], *(f"new{i}" for i in range(new)), *said[middle + new :]])


def planted(data: Path, n: int) -> tuple[list[str], list[float]]:
    """Return real texts as their words, each followed at times by an edited one, and its share."""
    rows = [row for file in FILES for row in json.loads((data / file).read_text())]
    texts, shares = list[str](), list[float]()
    for i, row in enumerate(rows):
        said = words(f"{row['instruction']} {row['input']} {row['output']}")
        texts.append(" ".join(said))
        shares.append(0.0)
        share = SHARES[i % len(SHARES)]
        if i % 4 == 0 and (copy := edited(texts[-1], share)):
            texts.append(copy)
            shares.append(share)
    return texts[:n], shares[:n]


def by_all_pairs(texts: Sequence[str], threshold: float = 0.7) -> list[bool]:
    """Compare every row with all that stay, by counting the runs that they share."""
    where: dict[tuple[str, ...], list[int]] = defaultdict(list)
    sizes, keep = dict[int, int](), list[bool]()
    for i, text in enumerate(texts):
        said = runs(text)
        shared = Counter(place for run in said for place in where.get(run, ()))
        keep.append(
            not any(n / (len(said) + sizes[place] - n) >= threshold for place, n in shared.items())
        )
        if keep[-1] and said:
            sizes[i] = len(said)
            for run in said:
                where[run].append(i)
    return keep


def found(data: Path, n: int) -> Iterator[tuple[str, object]]:
    """Yield what leaves against what should."""
    texts, shares = planted(data, n)
    ours, slow = by_stage(texts), by_all_pairs(texts)
    gone, should = ({i for i, kept in enumerate(keep) if not kept} for keep in (ours, slow))
    yield "real rows", len(texts)
    yield "rows that leave", len(gone)
    yield "recall", round(len(gone & should) / len(should), 5)
    yield "precision", round(len(gone & should) / len(gone), 5)
    for share in SHARES:
        copies = {i for i, planted in enumerate(shares) if planted == share}
        yield f"found of {len(copies)} planted at {share}", len(copies & gone)


def alone(n: int) -> dict[str, float]:
    """Measure one size in this process; the rows lie in a file, of which nobody has to keep any."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/rows.arrow"
        with pa.ipc.new_file(path, table([""]).schema) as file:
            for i, texts in enumerate(made_up(n)):
                file.write_table(table(texts, i * TOGETHER))
        rows = pa.ipc.open_file(pa.memory_map(path)).read_all()
        before, start = held(), time.process_time()
        with sampled() as peak:
            kept = NearDuplicates().decide(rows)["keep"].to_pylist()
    taken = {"n": n, "cpu_s": time.process_time() - start, "left": n - sum(kept)}
    return {**taken, "peak_gb": max(peak), "before_gb": before}


def held() -> float:
    """Return the memory in GB that this process has for itself: pages of files are not counted."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("RssAnon"))) / 1e6


@contextmanager
def sampled() -> Iterator[list[float]]:
    """Look at the memory twenty times a second."""
    found, is_over = [held()], threading.Event()

    def look() -> None:
        while not is_over.wait(0.05):
            found.append(held())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        is_over.set()
        thread.join()


def grown(sizes: Sequence[int]) -> Iterator[tuple[str, object]]:
    """Yield what every size takes, each in a fresh process, and the exponent that fits."""
    taken = []
    for n in sizes:
        command = [sys.executable, __file__, "--alone", "--n", str(n)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        taken.append(json.loads(told.splitlines()[-1]))
        yield f"{n:,} rows", {name: round(value, 2) for name, value in taken[-1].items()}
    logs = np.log([[one["n"], one["cpu_s"]] for one in taken])
    yield "exponent", round(float(np.polyfit(*logs.T, 1)[0]), 3)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--alone", action="store_true", help="measure --n rows in this process")
    parser.add_argument("--n", type=int, default=100_000)
    args = parser.parse_args()
    if args.alone:
        tell(alone(args.n), as_json=True)
        return
    n, texts = TOGETHER, next(made_up(TOGETHER))
    by_stage(texts[:100])
    ours, bare, theirs = list[float](), list[float](), list[float]()
    for _ in range(ARMS):
        bare.append(rate(by_rensa, texts))
        ours.append(rate(by_stage, texts))
        if find_spec("datasketch"):
            theirs.append(rate(by_datasketch, texts[:1000]))
    ratios = [a / b for a, b in zip(ours, bare, strict=True)]
    result: dict[str, object] = {
        "name": "near_duplicates",
        "ratio": round(statistics.median(ratios), 3),
        "spread": f"{min(ratios):.3f} to {max(ratios):.3f}",
        "baseline": round(statistics.median(bare)),
        "unit": "rows/s",
        "rows/s": round(statistics.median(ours)),
    }
    result["ratio to datasketch"] = "not measured: pip install datasketch"
    if theirs:
        times = [a / b for a, b in zip(ours, theirs, strict=True)]
        result["ratio to datasketch"] = round(statistics.median(times), 1)
        result["its spread"] = f"{min(times):.1f} to {max(times):.1f}"
        result["rows/s, datasketch"] = round(statistics.median(theirs))
    if data := os.environ.get("GRISTMILL_DATA"):
        result.update(found(Path(data), 5_000 if args.quick else 20_000))
    sizes = (10_000, 40_000) if args.quick else (10_000, 50_000, 200_000, 1_000_000, 2_000_000)
    result.update(grown(sizes))
    result |= {"rows": n, "words": WORDS, "permutations": PERMUTATIONS, "arms": ARMS}
    tell({**result, "machine": machine("rensa", "numpy")}, as_json=args.json)


if __name__ == "__main__":
    main()
