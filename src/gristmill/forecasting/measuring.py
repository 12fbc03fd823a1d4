"""How fast a sample ran, and what its files hold: what a longer run is scaled from."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.engines.progress import Progress, peak_bytes
from gristmill.publishing.housekeeping import size_of


@dataclass
class Clock:
    """Takes the looks at one command, and the time of each of its units."""

    n: int
    """Seeds in it."""
    tell: Callable[[Progress], None] | None = None
    last: Progress | None = None
    start_s: float = 0.0
    """In which engines loaded."""
    peak_bytes: int = 0
    """Of this process until the end of the rows' work."""
    unit_s: Counter[str] = field(default_factory=Counter)
    """By the labels of a unit. Of floats: a Counter adds them as well."""
    _waits: list[float] = field(default_factory=list)

    def __call__(self, now: Progress) -> None:
        """Take a look and pass it on."""
        if now.starting:
            self.start_s += now.wall_s - (self.last.wall_s if self.last else 0.0)
        elif waits := sum(told["waiting"] for told in now.engines.values()):
            self._waits.append(waits)
        self.last, self.peak_bytes = now, peak_bytes()
        if self.tell:
            self.tell(now)

    async def step(self, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Run a unit and take its time."""
        start = time.monotonic()
        try:
            return await work()
        finally:
            self.unit_s[name.partition(": ")[2]] += time.monotonic() - start  # type: ignore[assignment]  # a float

    @property
    def wall_s(self) -> float:
        """Seconds of the command."""
        return self.last.wall_s if self.last else 0.0

    @property
    def busy_s(self) -> float:
        """Seconds in which engines worked."""
        told = self.last.engines.values() if self.last else ()
        return min(sum(one["busy_s"] for one in told), self.wall_s - self.start_s)

    @property
    def in_flight(self) -> float:
        """Requests that waited at a time; each seed has one where no look was lucky."""
        return sum(self._waits) / len(self._waits) if self._waits else float(self.n)

    @property
    def rate(self) -> float | None:
        """Tokens per second of engines at work, answers where none counts tokens; None idle."""
        if self.last is None or not self.last.made:
            return None
        return (self.last.tokens or self.last.made) / max(self.busy_s, 1e-3)


def slowness(loads: Sequence[float], cores: int) -> tuple[float, float]:
    """Return how long the same work may take, at least and at most, where it takes 1 now.

    The machine may become as idle, or as busy, as it was on the longer averages of its load: who
    shares `cores` with `load` other processes gets `cores / (cores + load)` of them.
    """
    now, *_ = shares = [cores + load for load in loads]
    return min(shares) / now, max(shares) / now


def grows(run: Path) -> tuple[int, float, float]:
    """Return the bytes of a run's folder, and those of its lines and of its dataset's rows."""
    dataset = run / "dataset"
    files = [*run.rglob("*.parquet")]
    rows = sum(_of_rows(file) for file in files if file.is_relative_to(dataset))
    lines = sum(_of_rows(file) for file in files if not file.is_relative_to(dataset))
    return size_of(run), lines, rows + size_of(dataset / "exports")


def _of_rows(file: Path) -> float:
    """Return the bytes of a file that are not its schema's: it is written whole and by half."""
    table = pq.read_table(file)
    half = table.num_rows // 2
    if not half:
        return float(table.nbytes)
    more = max(0, _written(table) - _written(table.slice(0, half)))
    return float(more * table.num_rows / (table.num_rows - half))


def _written(table: pa.Table) -> int:
    out = BytesIO()
    pq.write_table(table, out, write_page_checksum=True)
    return out.tell()
