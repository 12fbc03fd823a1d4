"""Engines that take turns: where fewer models fit than a recipe has, they hand over slots.

An engine that wants a slot waits in line. Who holds one keeps it while nobody waits. As soon as
somebody does, it goes when the holder has had nothing to do for a moment, or has had it for ten
times what the switch to it cost: what it has not begun by then is withdrawn and waits in line
again, what it has begun is finished. Requests are leaves, they wait for no other request, so every
holder leaves in bounded time and nobody waits for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from gristmill.engines.base import Engine
from gristmill.errors import RequirementError

log = logging.getLogger(__name__)

TIMES = 10
"""A holder may keep others waiting for so many times what the switch to it cost."""
LINGER = 0.05
"""Share of that cost for which a holder may be idle: rows between two of its requests come back."""
LIMIT_S = 60.0
"""Whoever waits for longer says so, and who holds the slots."""
RELEASE_S = 10.0
"""How long the processes of an engine that has stopped may take to end."""
MiB = 2**20


class Withdrawn(Exception):
    """A request that its engine had not begun when it gave up its slot."""


class Seat:
    """One engine's place in line. `begin` loads the engine, `end` frees what it took."""

    def __init__(
        self,
        slots: Slots,
        name: str,
        begin: Callable[[], Awaitable[None]],
        end: Callable[[], Awaitable[None]],
        withdraw: Callable[[], None],
    ) -> None:
        self.slots, self.name = slots, name
        self.begin, self.end, self.withdraw = begin, end, withdraw
        self.waiting: deque[asyncio.Future[None]] = deque()
        self.inside = 0
        """Requests under way."""
        self.is_open = self.is_closing = False
        self.cost_s = self.since = self.idle_since = 0.0

    async def enter(self) -> None:
        """Return when the engine is loaded and may be asked; `leave` once for each time."""
        if self.is_open:
            self.inside += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        self.slots.want(self)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and not turn.exception():
                self.leave()
            raise

    def leave(self) -> None:
        """Say that a request has ended."""
        self.inside -= 1
        if not self.inside:
            self.idle_since = asyncio.get_running_loop().time()
        self.slots.look()

    def open(self, cost_s: float) -> None:
        """Let everybody in who waits."""
        self.cost_s, self.is_open = cost_s, True
        self.since = self.idle_since = asyncio.get_running_loop().time()
        while self.waiting:
            if not (turn := self.waiting.popleft()).done():
                turn.set_result(None)
                self.inside += 1

    @property
    def due(self) -> float:
        """The loop's time at which it has to go if somebody waits."""
        last = self.since + TIMES * self.cost_s
        return last if self.inside else min(last, self.idle_since + LINGER * self.cost_s)

    @property
    def is_wanted(self) -> bool:
        """Whether anybody still waits for it."""
        return any(not turn.done() for turn in self.waiting)


class Slots:
    """Room for `n` loaded engines."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._holders: list[Seat] = []
        self._line: list[Seat] = []
        self._switches: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._broken: Exception | None = None
        """Why an engine could not free its slot: it will be free for nobody any more."""

    def want(self, seat: Seat) -> None:
        """Put an engine into the line, unless it is there or just loads or leaves."""
        if self._broken:
            _fail(seat, self._broken)
        elif seat not in self._line and seat not in self._holders:
            loop = asyncio.get_running_loop()
            self._line.append(seat)
            loop.call_later(LIMIT_S, self._tell, seat, loop.time())
        self.look()

    def drop(self, seat: Seat) -> None:
        """Take an engine that has stopped out of the line and off its slot."""
        seat.is_open = seat.is_closing = False
        for some in (self._holders, self._line):
            if seat in some:
                some.remove(seat)
        self.look()

    def look(self) -> None:
        """Give out free slots, and take those that are due to go."""
        if not self._line and not any(holder.is_closing for holder in self._holders):
            return
        self._line = [seat for seat in self._line if seat.is_wanted]
        while self._line and len(self._holders) < self.n:
            self._holders.append(seat := self._line.pop(0))
            self._switch(self._begin(seat, asyncio.get_running_loop().time()))
        wanted = len(self._line) - sum(holder.is_closing for holder in self._holders)
        ready = sorted((seat for seat in self._holders if seat.is_open), key=lambda seat: seat.due)
        for seat in ready[: max(0, wanted)]:
            if not self._take(seat):
                break  # those after it are due later
        for seat in self._holders:
            if seat.is_closing and not seat.inside:
                seat.is_closing = False
                self._switch(self._end(seat))

    def _take(self, seat: Seat) -> bool:
        """Close an engine that is due; come back when it will be, and say that it is not."""
        loop = asyncio.get_running_loop()
        left_s = seat.due - loop.time()
        if left_s > 0:
            if self._timer:
                self._timer.cancel()
            self._timer = loop.call_later(left_s, self.look)
            return False
        seat.is_open, seat.is_closing = False, True
        seat.withdraw()
        return True

    def _switch(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._switches.add(task)
        task.add_done_callback(self._switches.discard)

    async def _end(self, seat: Seat) -> None:
        """Free what an engine took, and give its slot to the first in line."""
        started = asyncio.get_running_loop().time()
        try:
            await seat.end()
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait for the room
            self._broken = error
            for other in [*self._line, seat]:
                _fail(other, error)
            return
        self._off(seat)
        if seat.is_wanted:
            self.want(seat)
        self._line = [other for other in self._line if other.is_wanted]
        if self._line and len(self._holders) < self.n:
            self._holders.append(new := self._line.pop(0))
            log.info("slot from=%s to=%s", seat.name, new.name)
            await self._begin(new, started)

    async def _begin(self, seat: Seat, started: float) -> None:
        if seat not in self._holders:
            return  # it was stopped before it began
        try:
            await seat.begin()
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait for this engine
            self._off(seat)
            _fail(seat, error)
        else:
            if seat in self._holders:  # else it was stopped meanwhile
                seat.open(asyncio.get_running_loop().time() - started)
        self.look()

    def _off(self, seat: Seat) -> None:
        """Take an engine off its slot, unless a stop did."""
        if seat in self._holders:
            self._holders.remove(seat)

    def _tell(self, seat: Seat, since: float) -> None:
        """Say who keeps an engine waiting, and again after as long a time."""
        if seat not in self._line or not seat.is_wanted:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        held = ", ".join(
            f"{h.name} for {now - h.since:.0f} s with {h.inside} requests" if h.is_open or h.inside
            else f"{h.name}, which starts or stops"
            for h in self._holders
        )  # fmt: skip
        log.warning("%s has waited %.0f s for a slot, held by %s", seat.name, now - since, held)
        loop.call_later(LIMIT_S, self._tell, seat, since)


def _fail(seat: Seat, error: Exception) -> None:
    fail(seat.waiting, error)
    seat.waiting.clear()


def fail(futures: Iterable[asyncio.Future[Any]], error: Exception) -> None:
    """Give everybody who still waits an error."""
    for future in futures:
        if not future.done():
            future.set_exception(error)


async def release(engine: Engine, name: str) -> None:
    """Let an engine rest, and see that the memory it held is free.

    Raises:
        RequirementError: A process of it lives on, so that the next engine may not fit.
    """
    import psutil

    own, pids = psutil.Process(), {pid for some in await engine.pids() for pid in some}
    held = [psutil.Process(pid) for pid in pids - {own.pid} if psutil.pid_exists(pid)]
    before = sum(map(_resident, [own, *held]))
    await engine.rest()
    loop = asyncio.get_running_loop()
    until = loop.time() + RELEASE_S
    while alive := [process for process in held if _resident(process)]:
        if loop.time() > until:
            left = ", ".join(f"{p.pid} ({_resident(p) // MiB} MiB)" for p in alive)
            raise RequirementError(
                f"{name} has stopped but its processes still hold memory: {left}; end them, or "
                "give each engine a slot of its own (slots in the recipe)"
            )
        await asyncio.sleep(0.1)
    freed = before - _resident(own)
    log.info("engine=%s stopped processes=%d freed_mib=%d", name, len(held), freed // MiB)


def _resident(process: Any) -> int:
    """Return the bytes of main memory that a process holds; 0 when it has ended."""
    import psutil

    try:
        ended = process.status() == psutil.STATUS_ZOMBIE
        return 0 if ended else int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
