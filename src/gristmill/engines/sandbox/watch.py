"""One run seen from outside, whatever starts it: fed, watched, killed and drained.

A back end starts the processes and says when they have ended; deadline, limits and output are
kept here, the same for all.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from threading import Event
from typing import Literal

from gristmill.engines.sandbox.cgroups import Group, measure, waited_s
from gristmill.engines.sandbox.isolation import memory_file
from gristmill.engines.sandbox.streams import CAPS, Streams
from gristmill.engines.sandbox.turns import Mark, Turns

PROCESSES = 64
SECOND_LINE_MB = 4096
"""Address space per process where a control group counts the memory itself."""
TICK_S, WATCHER_S = 0.05, 0.02
"""Between two looks at the limits; shorter where no control group holds them meanwhile."""
START_S = 20.0
"""How long the isolation itself may take before the machine is to blame."""

ENOUGH, STARVED = 0.9, 0.1
"""Shares of the time limit: the CPU time that a run is owed, and the waiting that matters."""

End = Literal["exited", "done", "timeout", "output_limit", "oom", "processes", "infra"]
"""`done`: it was ended when the last of its cells had."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use."""

    timeout_s: float
    memory_mb: int
    stdout_bytes: int = CAPS["stdout"]
    cells: int = 0
    """How many answers are asked for one by one; 0 waits for the end of the run."""
    cell_timeout_s: float = 0.0
    address_mb: int = 0
    """Address space that one process may have at least, whatever the memory limit."""


@dataclass(slots=True)
class Outcome:
    """What was seen from outside."""

    end: End = "exited"
    code: int = 0
    """Exit code, 128 + n for signal n."""
    output: dict[str, bytearray] = field(default_factory=lambda: {n: bytearray() for n in CAPS})
    wall_s: float = 0.0
    cpu_s: float | None = None
    """CPU time of all its processes, with what it took to prepare them; a cold run also counts
    the reading of its texts.
    Bubblewrap does not collect its child: without a control group only time-outs tell it."""
    starved_s: float = 0.0
    """Time it was ready to run but got no CPU; known for time-outs only."""
    marks: list[Mark] = field(default_factory=list)
    """For cells: what had come of each stream as each of them ended."""

    def is_starved(self, limits: Limits) -> bool:
        """Say whether others kept a run from the CPU until its time was over.

        A program that slept was not held up, nor was one that had the CPU time of its limit: its
        own threads and processes may wait for each other.
        """
        limit_s = min(limits.timeout_s, self.wall_s) if limits.cells else limits.timeout_s
        had_less = (self.cpu_s or 0.0) < ENOUGH * limit_s
        held_up = self.starved_s > STARVED * limit_s
        return self.end == "timeout" and had_less and held_up


class Run(ABC):
    """Everything that one run holds open, and its course; a back end fills in three steps."""

    spare_processes = 0
    """Processes of the back end itself that live in the run's control group."""

    def __init__(
        self,
        job: bytes,
        stdin: bytes,
        limits: Limits,
        group: Group | None,
        stack: ExitStack,
        stopping: Event | None,
    ) -> None:
        self.limits, self.group, self.stack = limits, group, stack
        self.stopping = stopping or Event()
        self.outcome = Outcome()
        self.open: set[int] = set()
        stack.callback(self.close_all)
        self.job_fd, self.stdin_fd = self.own(memory_file(job)), self.own(memory_file(stdin))
        # A socket, not a pipe: a pipe could be opened for reading through /proc/self/fd.
        self.frames, self.frames_child = socket.socketpair()
        stack.enter_context(self.frames)
        stack.enter_context(self.frames_child)
        self.oom_before = group.oom_kills() if group else 0
        self.root = 0
        """The process whose descendants are the run: the init of its pid namespace."""
        self.root_fd = -1

    def prepare(self) -> None:  # noqa: B027 - most back ends have nothing to wait for
        """Get what the run starts from; raises OSError when the machine cannot."""

    @abstractmethod
    def spawn(self) -> None:
        """Start the run; raises OSError when the machine cannot."""

    @abstractmethod
    def admit(self) -> bool:
        """Learn the run's first process and let it go on; False when it never started."""

    @abstractmethod
    def ending(self) -> int:
        """Return a descriptor that can be read when the run has ended."""

    @abstractmethod
    def outputs(self) -> tuple[int, int]:
        """Return the descriptors of its stdout and stderr."""

    @abstractmethod
    def finish(self) -> None:
        """Kill whatever is left, learn the exit code."""

    def own(self, fd: int) -> int:
        """Take a descriptor that is closed with the run."""
        self.open.add(fd)
        return fd

    def close(self, fd: int) -> None:
        """Close a descriptor once: another thread may already have been given its number."""
        if fd in self.open:
            self.open.remove(fd)
            os.close(fd)

    def close_all(self) -> None:
        """Close what is still open."""
        for fd in list(self.open):
            self.close(fd)

    def go(self) -> Outcome:
        """Start, admit, watch, end; whatever it does, within the time limit and a second."""
        try:
            self._limit_group()
            self.prepare()
            started = time.monotonic()
            self.spawn()
        except OSError as error:
            self.outcome.end = "oom" if self._is_too_small(error) else "infra"
            self.outcome.output["stderr"] += str(error).encode()
            return self.outcome
        try:
            if self.admit():
                self.pump(self.limits.timeout_s)
            else:
                self.outcome.end = "infra"
        finally:
            self.finish()
            self.outcome.wall_s = time.monotonic() - started
        is_first = self.outcome.end != "output_limit"
        if is_first and self.group and self.group.oom_kills() > self.oom_before:
            self.outcome.end = "oom"
        return self.outcome

    def make_room(self) -> None:  # noqa: B027 - most back ends hold nothing between runs
        """Let go of memory that is held in the run's control group before the run."""

    def _limit_group(self) -> None:
        if not self.group:
            return
        processes = PROCESSES + self.spare_processes
        try:
            self.group.limit(self.limits.memory_mb, processes)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            self.make_room()
            self.group.limit(self.limits.memory_mb, processes)

    def _is_too_small(self, error: OSError) -> bool:
        """Say whether the memory limit is less than what an interpreter needs to wait."""
        killed = self.group is not None and self.group.oom_kills() > self.oom_before
        return killed or error.errno == errno.EBUSY

    def per_process(self) -> tuple[int, int]:
        """Return the kernel's limits for each process: CPU in seconds, address space in bytes."""
        memory_mb = SECOND_LINE_MB if self.group else self.limits.memory_mb
        most = max(memory_mb, self.limits.memory_mb, self.limits.address_mb)
        return int(self.limits.timeout_s) + 2, most << 20

    def pump(self, timeout_s: float) -> None:
        """Drain while it runs; stop at its end, at the deadline or at a limit."""
        deadline = time.monotonic() + timeout_s
        stdout, stderr = self.outputs()
        fds = {"stdout": stdout, "stderr": stderr, "frames": self.frames.fileno()}
        caps = CAPS | {"stdout": self.limits.stdout_bytes}
        limits, marks = self.limits, self.outcome.marks
        turns = Turns(limits.cells, limits.cell_timeout_s, self.frames, marks)
        with closing(Streams(fds, self.ending(), self.outcome.output, caps)) as streams:
            next_look, tick_s = 0.0, TICK_S if self.group else WATCHER_S
            while (left := min(deadline, turns.deadline) - (now := time.monotonic())) > 0:
                has_ended = streams.drain(min(left, tick_s))
                if has_ended:
                    streams.drain_rest()
                is_over = turns.are_over(streams)
                if streams.overflow:
                    self.outcome.end = "output_limit"
                    return
                if is_over:
                    self._stop("done")
                if is_over or has_ended:
                    return
                if now >= next_look:
                    next_look = now + tick_s
                    if not self._within_limits():
                        return
            self._stop("timeout")

    def _stop(self, end: End) -> None:
        self.outcome.end = end
        self.outcome.cpu_s = measure(self.root, PROCESSES).cpu_s
        self.outcome.starved_s = waited_s(self.root, PROCESSES)

    def _within_limits(self) -> bool:
        """Look at the whole tree where no control group does."""
        if self.stopping.is_set():
            self.outcome.end = "infra"
            return False
        if self.group:
            if self.group.oom_kills() > self.oom_before:
                self.outcome.end = "oom"
                return False
            return True
        usage = measure(self.root, PROCESSES)
        if usage.memory_bytes > self.limits.memory_mb << 20:
            self.outcome.end = "oom"
        elif usage.processes > PROCESSES:
            self.outcome.end = "processes"
        else:
            return True
        return False


def pid_of(pidfd: int) -> int:
    """Return the process that a pidfd stands for, as it is numbered here; 0 when it has gone."""
    with open(f"/proc/self/fdinfo/{pidfd}", "rb", buffering=0) as file:  # noqa: PTH123 - Path costs more
        for line in file.read().splitlines():
            if line.startswith(b"Pid:"):
                return max(0, int(line[4:]))
    return 0
