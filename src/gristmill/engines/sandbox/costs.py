"""What the tests of a program cost: time taken from outside, memory over it.

Source: Huang et al., "EffiLearner", arXiv:2405.15189, section 3 (the overhead profile); Qiu et al.,
arXiv:2406.06647 (the Hodges-Lehmann estimate).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from gristmill.engines.sandbox import profiling
from gristmill.engines.sandbox.inspecting import found, inspection
from gristmill.engines.sandbox.metrics import hodges_lehmann
from gristmill.engines.sandbox.program import Program, Verdict

MAX_LOOPS = 4096
MIN_GAIN = 0.05
"""Share (0..1) of the memory over time below which a gain may be noise."""
WORK = (
    "[exec(c, dict(globals())) for c in [compile({tests!r}, 'tests', 'exec')] for _ in range({n})]"
)
Run = Callable[[Program], Awaitable[Verdict]]


@dataclass(frozen=True, slots=True)
class Cost:
    """Of all tests together, as often as they are repeated."""

    et_s: float
    """CPU time, or wall time where that is not known."""
    noise_s: float
    """The median deviation of the runs from `et_s`."""
    peak_mb: float
    mean_mb: float
    lines: list[list[Any]]
    """Number, text, hits, share of time, KiB gained, of the lines that take most time."""

    @property
    def tmu_mb_s(self) -> float:
        """Memory over time: the time from outside, the memory as the program's process had it."""
        return self.et_s * self.mean_mb

    def is_below(self, other: Cost) -> bool:
        """Say whether memory over time is less by more than noise: 5 %, or three deviations."""
        noise = max(cost.noise_s * cost.mean_mb for cost in (self, other))
        return other.tmu_mb_s - self.tmu_mb_s > max(MIN_GAIN * other.tmu_mb_s, 3 * noise)

    def __str__(self) -> str:
        """Say it to a model."""
        rows = [f"{n} | {hits} | {share:.0%} | {kib:.0f} | {text}"
                for n, text, hits, share, kib in self.lines]  # fmt: skip
        total = f"{self.et_s:.3f} s, peak {self.peak_mb:.1f} MB, {self.tmu_mb_s:.2f} MB*s over time"
        return "\n".join([total, "line | runs | share of time | KiB more | text", *rows])


class Limits(NamedTuple):
    """How programs are measured: all that are compared in the same way."""

    tests: str
    loops: int
    runs: int
    timeout_s: float


async def measure(run: Run, code: str, limits: Limits) -> Cost | None:
    """Return what a right program costs; None where a run fails or nothing can be profiled.

    Runs come one after the other: side by side they would slow each other down.
    """
    tests, loops, runs, timeout_s = limits
    times = [await took_ms(run, code, tests, loops, i, timeout_s) for i in range(runs)]
    known = [took for took in times if took]
    seen = found(
        await run(inspection(profiling, "profile", code, tests, loops, timeout_s=timeout_s))
    )
    if len(known) < runs or not seen:
        return None
    took = hodges_lehmann(known)
    noise = median(abs(t - took) for t in known)
    return Cost(took / 1000, noise / 1000, seen["peak_mb"], seen["mean_mb"], seen["lines"])


async def loops_for(run: Run, code: str, tests: str, min_ms: float, timeout_s: float) -> int:
    """Return how often tests must run to take `min_ms`, in powers of four."""
    loops = 1
    while loops < MAX_LOOPS:
        took = await took_ms(run, code, tests, loops, 0, timeout_s)
        if took is None or took >= min_ms:
            break
        loops *= 4
    return loops


async def took_ms(
    run: Run, code: str, tests: str, loops: int, attempt: int, timeout_s: float
) -> float | None:
    """Return the milliseconds of one run, as seen from outside; None if it failed."""
    calls = (WORK.format(tests=tests, n=loops),)
    verdict = await run(Program(code, calls=calls, timeout_s=timeout_s, attempt=attempt))
    if verdict.status != "pass":
        return None
    return float(verdict.wall_ms if verdict.cpu_ms is None else verdict.cpu_ms)
