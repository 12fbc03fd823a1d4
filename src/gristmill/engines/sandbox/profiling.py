"""What a program costs: memory over time, and time and memory of every line.

The source of this file is sent into the sandbox, so it imports nothing else of ours. What it says
comes from the program's own process, where hostile code could change it: it is shown to a model,
and the time that decides between programs is taken from outside.
"""

from __future__ import annotations

import contextlib
import io
import sys
import threading
import time
import tracemalloc
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

EVERY_S = 0.001
"""Between two looks at the memory."""
PAGE_MB = 4096 / 2**20


def trapezoid(samples: Sequence[tuple[float, float]]) -> float:
    """Return the integral of (seconds, MB) over time, in MB*s."""
    return sum((t1 - t0) * (m0 + m1) / 2 for (t0, m0), (t1, m1) in pairwise(samples))


def profile(code: str, tests: str, loops: int) -> dict[str, Any]:
    """Run tests `loops` times, then once line by line; the ten lines that take most time."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        scope: dict[str, Any] = {"__name__": "code"}
        exec(compile(code, "code.py", "exec"), scope)
        work = compile(tests, "tests.py", "exec")
        samples = _sampled(work, scope, loops)
        lines = _traced(work, scope)
    peak = max(memory for _, memory in samples)
    texts = code.split("\n")
    total = sum(cost[1] for cost in lines.values()) or 1.0
    most = sorted(lines, key=lambda line: -lines[line][1])[:10]
    rows = [
        [line, texts[line - 1].strip()[:80], lines[line][0], lines[line][1] / total, lines[line][2]]
        for line in sorted(most)
    ]
    took = samples[-1][0] - samples[0][0]
    return {"peak_mb": peak, "mean_mb": trapezoid(samples) / took if took else peak, "lines": rows}


def _memory_mb() -> float:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_MB


def _sampled(work: Any, scope: dict[str, Any], loops: int) -> list[tuple[float, float]]:
    samples, done = [(time.perf_counter(), _memory_mb())], threading.Event()

    def look() -> None:
        while not done.wait(EVERY_S):
            samples.append((time.perf_counter(), _memory_mb()))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(loops):
            exec(work, dict(scope))
    finally:
        done.set()
        thread.join()
    return [*samples, (time.perf_counter(), _memory_mb())]


def _traced(work: Any, scope: dict[str, Any]) -> dict[int, list[float]]:
    """Return per line of the code: hits, seconds, KiB that it had more at the end than before."""
    lines: dict[int, list[float]] = {}
    last: list[Any] = [0, 0.0, 0]

    def charge(line: int) -> None:
        now, memory = time.perf_counter(), tracemalloc.get_traced_memory()[0]
        if last[0]:
            cost = lines.setdefault(last[0], [0, 0.0, 0.0])
            cost[0] += 1
            cost[1] += now - last[1]
            cost[2] += max(0, memory - last[2]) / 1024
        last[:] = [line, time.perf_counter(), tracemalloc.get_traced_memory()[0]]

    def trace(frame: Any, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != "code.py":
            return None
        charge(frame.f_lineno if event == "line" else 0)
        return trace

    tracemalloc.start()
    sys.settrace(trace)
    try:
        exec(work, dict(scope))
    finally:
        sys.settrace(None)
        tracemalloc.stop()
    return lines
