"""What a run is doing, in numbers: for the progress line, the timeline of the report, the flow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gristmill.engines.client import Client

POINTS = 240
"""Length of the timeline; when it is full every second point goes."""


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


@dataclass
class Meter:
    """Looks at the clients and the rows done every half second."""

    clients: Mapping[str, Client]
    count: Callable[[], int]
    """Says how many rows went through a unit so far."""
    tell: Callable[[Progress], None] | None
    unit: str = ""
    wave: int = 0
    total: int = 0
    kept: int = 0
    timeline: list[list[float]] = field(default_factory=list)
    """[seconds, rows done, tokens made] of this process, in order."""
    _base: int = 0
    _start: float = field(default_factory=time.monotonic)

    def enter(self, unit: str, wave: int, total: int) -> None:
        """Begin a unit."""
        self.unit, self.wave, self.total, self._base = unit, wave, total, self.count()

    def look(self) -> Progress:
        """Take the numbers of this moment."""
        clients = self.clients.values()
        return Progress(
            self.unit,
            self.wave,
            self.count() - self._base,
            self.total,
            self.kept,
            sum(c.tokens for c in clients),
            sum(c.made for c in clients),
            sum(c.replayed for c in clients),
            round(time.monotonic() - self._start, 3),
        )

    @property
    def calls(self) -> dict[str, dict[str, Any]]:
        """Per role: answers made, answers replayed, tokens made, and the engine's name."""
        return {
            role: {
                "engine": type(client.engine).__name__,
                "identity": client.identity,
                "made": client.made,
                "replayed": client.replayed,
                "tokens": client.tokens,
            }
            for role, client in sorted(self.clients.items())
        }

    @asynccontextmanager
    async def running(self) -> Any:
        """Look and tell while the body runs, and once more at its end."""
        task = asyncio.create_task(self._watch())
        try:
            yield self
        finally:
            task.cancel()
            self._note()

    async def _watch(self) -> None:
        while True:
            self._note()
            await asyncio.sleep(0.5)

    def _note(self) -> None:
        now = self.look()
        self.timeline.append([now.wall_s, self.count(), now.tokens])
        if len(self.timeline) > POINTS:
            self.timeline = self.timeline[::2]
        if self.tell:
            self.tell(now)
