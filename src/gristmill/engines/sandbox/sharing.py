"""Who runs when: free slots by profile, runs that have to be alone, runs that nobody wants."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gristmill.engines.sandbox.backends import Slot, Slots
from gristmill.engines.sandbox.watch import Limits, Outcome


class Stop(threading.Event):
    """Set when one run is no longer wanted, or when none is."""

    def __init__(self, every: threading.Event) -> None:
        super().__init__()
        self.every = every

    def is_set(self) -> bool:
        """Say whether this run has to end."""
        return super().is_set() or self.every.is_set()


class Lane:
    """The slots of one profile, and which of them are free."""

    def __init__(self, made: Slots) -> None:
        self.made = made
        self.free: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        for slot in made.all:
            self.free.put(slot)

    def execute(self, job: bytes, stdin: bytes, limits: Limits, stop: threading.Event) -> Outcome:
        """Run one job in a free slot."""
        slot = self.free.get()
        try:
            return slot.execute(job, stdin, limits, stop)
        finally:
            self.free.put(slot)


class Gate:
    """Runs share the machine, except one that must be alone."""

    def __init__(self) -> None:
        self.inside = 0
        self.closed = False
        self.changed = threading.Condition()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Run beside others."""
        with self.changed:
            self.changed.wait_for(lambda: not self.closed)
            self.inside += 1
        try:
            yield
        finally:
            with self.changed:
                self.inside -= 1
                self.changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until nobody runs, and let nobody in."""
        with self.changed:
            self.changed.wait_for(lambda: not self.closed)
            self.closed = True
            self.changed.wait_for(lambda: not self.inside)
        try:
            yield
        finally:
            with self.changed:
                self.closed = False
                self.changed.notify_all()
