"""What a run is doing, in numbers: for the progress line, the timeline of the report, the flow."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any, Self

from gristmill.engines import cluster
from gristmill.engines.client import Client
from gristmill.errors import StorageError
from gristmill.storage.shards import write_text

POINTS = 240
"""Length of the timeline; when it is full every second point goes."""
LOOK_S = 0.5
LOOKS_PER_BILL = 20
"""A command that is killed leaves a bill that is ten seconds old at most."""
LOOKS_PER_FILE = 4
TELL_S = 2.0
"""How long an engine has to tell its counters: nothing waits for one that hangs."""
PROGRESS = "progress.json"
"""The last look at a run under way, two seconds old at most: what `status` shows."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at a run. Rates are for the reader to take between two looks."""

    unit: str
    """Labels of the stages under way."""
    wave: int
    rows_done: int
    rows_total: int
    kept: int
    """Rows that the unit before this one kept."""
    tokens: int
    """Tokens of the answers that engines made in this process."""
    made: int
    replayed: int
    wall_s: float
    unit_s: float = 0.0
    """Seconds since the unit under way began."""
    engines: dict[str, dict[str, float]] = field(default_factory=dict)
    """By role: answers made and replayed, their tokens, requests waiting, busy_s, and what the
    engine itself counts, by its own names, with the first role that it has."""
    dashboard: str = ""
    """Ray's, once it runs and has one."""
    starting: list[str] = field(default_factory=list)
    """Engines that are loading, each by the first role that has it."""


@dataclass
class Meter:
    """Looks at the clients and the rows done every half second."""

    clients: Mapping[str, Client]
    count: Callable[[], int]
    """Says how many rows went through a unit so far."""
    tell: Callable[[Progress], None] | None
    bills: Path | None = None
    """Where this command's bill goes, beside those of the commands before it; the last look goes
    into the folder above."""
    unit: str = ""
    wave: int = 0
    total: int = 0
    kept: int = 0
    timeline: list[list[float]] = field(default_factory=list)
    """[seconds, rows done, tokens made] of this process, in order."""
    engines: dict[str, dict[str, float]] = field(default_factory=dict)
    """Counters of the engines that have any, by the first role that asked each."""
    _base: int = 0
    _entered: float = field(default_factory=time.monotonic)
    _ended: bool = False
    _writing: threading.Lock = field(default_factory=threading.Lock)
    _start: float = field(default_factory=time.monotonic)
    _name: str = field(default_factory=lambda: f"{time.time_ns()}-{os.getpid()}")

    def enter(self, unit: str, wave: int, total: int) -> None:
        """Begin a unit."""
        self.unit, self.wave, self.total, self._base = unit, wave, total, self.count()
        self._entered = time.monotonic()

    def look(self) -> Progress:
        """Take the numbers of this moment."""
        clients = self.clients.values()
        return Progress(
            self.unit,
            self.wave,
            min(self.count() - self._base, self.total),  # what comes after a unit counts on
            self.total,
            self.kept,
            sum(c.tokens for c in clients),
            sum(c.made for c in clients),
            sum(c.replayed for c in clients),
            round(time.monotonic() - self._start, 3),
            round(time.monotonic() - self._entered, 3),
            {role: self._asked(role, client) for role, client in sorted(self.clients.items())},
            cluster.dashboard(),
            self._starting(),
        )

    def _starting(self) -> list[str]:
        clients = sorted(self.clients.items(), reverse=True)
        first = {id(c.starter): role for role, c in clients if c.starter.is_starting}
        return sorted(first.values())

    def _asked(self, role: str, client: Client) -> dict[str, float]:
        mine = {
            "made": client.made,
            "replayed": client.replayed,
            "tokens": client.tokens,
            "waiting": client.waiting,
            "busy_s": round(client.busy.seconds, 3),
        }
        return {**mine, **self.engines.get(role, {})}

    @property
    def calls(self) -> dict[str, dict[str, Any]]:
        """Per role: answers made, answers replayed, tokens made, and the engine's name."""
        return {
            role: {
                "engine": client.engine.kind,
                "identity": client.identity,
                "made": client.made,
                "replayed": client.replayed,
                "tokens": client.tokens,
            }
            for role, client in sorted(self.clients.items())
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Look and tell while the body runs, and once more at its end."""
        task = asyncio.create_task(self._watch())
        try:
            yield self
        finally:
            task.cancel()
            self._note()
            self.write_bill()
            await self.measure()
            self.write_bill()
            self._forget()

    async def measure(self) -> None:
        """Read the counters of the engines that run; one that cannot tell now keeps its last."""
        seen: set[int] = set()
        for role, client in sorted(self.clients.items()):
            read = getattr(client.engine, "metrics", None)
            if read is None or id(client.engine) in seen:
                continue
            seen.add(id(client.engine))
            with suppress(TimeoutError):
                if found := await asyncio.wait_for(read(), TELL_S):
                    self.engines[role] = found

    def write_bill(self) -> None:
        """Keep what this command paid for so far; one that only replayed leaves no bill."""
        now = self.look()
        if self.bills is None or not now.made:
            return
        paid = sorted(self.clients.items())
        bill = {
            "wall_s": now.wall_s,
            "cpu_s": cpu_s(),
            "peak_bytes": peak_bytes(),
            "made": now.made,
            "replayed": now.replayed,
            "tokens": now.tokens,
            "timeline": self.timeline,
            "engines": self.engines,
            "roles": {role: {"made": c.made, "tokens": c.tokens} for role, c in paid if c.made},
        }
        write_text(self.bills / f"{self._name}.json", json.dumps(bill))

    def write_progress(self, now: Progress) -> None:
        """Keep a look for other processes."""
        # A thread may be late: what has ended is not written any more. A full disk is the run's.
        with self._writing, suppress(StorageError):
            if self.bills and not self._ended:
                write_text(self.bills.parent / PROGRESS, json.dumps(asdict(now)))

    def _forget(self) -> None:
        with self._writing:
            self._ended = True
            if self.bills:
                (self.bills.parent / PROGRESS).unlink(missing_ok=True)

    async def _watch(self) -> None:
        for number in itertools.count():
            self._note()
            if number % LOOKS_PER_FILE == 0:
                await asyncio.to_thread(self.write_progress, self.look())
            if number % LOOKS_PER_BILL == LOOKS_PER_FILE:  # not at first: nothing runs yet
                await self.measure()
                await asyncio.to_thread(self.write_bill)
            await asyncio.sleep(LOOK_S)

    def _note(self) -> None:
        now = self.look()
        self.timeline.append([now.wall_s, self.count(), now.tokens])
        if len(self.timeline) > POINTS:
            self.timeline = self.timeline[::2]
        if self.tell:
            self.tell(now)


def cpu_s() -> float:
    """Return the processor seconds of this process and of the children that have ended."""
    times = os.times()
    return round(times.user + times.system + times.children_user + times.children_system, 3)


def peak_bytes() -> int:
    """Return the most memory that this process held so far; its engines' processes are not in it.

    The kernel's own mark: `getrusage` also counts what a parent held before it started us.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except FileNotFoundError:  # macOS, where the mark is in bytes
        return getrusage(RUSAGE_SELF).ru_maxrss
    return int(status.partition("VmHWM:")[2].split(maxsplit=1)[0]) * 1024
