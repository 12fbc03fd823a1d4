"""One run of one process tree: started, fed, watched, killed and drained, all from outside."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Literal

from gristmill.engines.sandbox.cgroups import Group, measure, waited_s
from gristmill.engines.sandbox.isolation import (
    ENVIRONMENT,
    Command,
    exposed,
    isolated,
    memory_file,
)
from gristmill.engines.sandbox.streams import CAPS, Streams

PROCESSES = 64
SECOND_LINE_MB = 4096
"""Address space per process where a control group counts the memory itself."""
TICK_S = 0.05
START_S = 20.0
"""How long the isolation itself may take before the machine is to blame."""

End = Literal["exited", "timeout", "output_limit", "oom", "processes", "infra"]


@dataclass(slots=True)
class Outcome:
    """What was seen from outside."""

    end: End = "exited"
    code: int = 0
    """Exit code, 128 + n for signal n."""
    output: dict[str, bytearray] = field(default_factory=lambda: {n: bytearray() for n in CAPS})
    wall_s: float = 0.0
    cpu_s: float = 0.0
    starved_s: float = 0.0
    """Time it was ready to run but got no CPU. Both are known for time-outs only."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use."""

    timeout_s: float
    memory_mb: int


def execute(
    job: bytes,
    stdin: bytes,
    limits: Limits,
    group: Group | None,
    *,
    isolate: bool = True,
    stopping: Event | None = None,
) -> Outcome:
    """Run one job to its end, whatever it does; returns within the time limit and a second.

    It is killed when `stopping` is set: then the machine is to blame, not the program.
    """
    with ExitStack() as stack:
        return _Run(job, stdin, limits, group, stack, isolate, stopping or Event()).go()


class _Run:
    """Everything that one run holds open."""

    def __init__(
        self,
        job: bytes,
        stdin: bytes,
        limits: Limits,
        group: Group | None,
        stack: ExitStack,
        isolate: bool,
        stopping: Event,
    ) -> None:
        self.limits, self.group, self.stack = limits, group, stack
        self.isolate, self.stopping = isolate, stopping
        self.outcome = Outcome()
        self.open: set[int] = set()
        stack.callback(self._close_all)
        self.job_fd, self.stdin_fd = self._own(memory_file(job)), self._own(memory_file(stdin))
        # A socket, not a pipe: a pipe could be opened for reading through /proc/self/fd.
        self.frames, self.frames_child = socket.socketpair()
        stack.enter_context(self.frames)
        stack.enter_context(self.frames_child)
        self.info_read, self.info_write = map(self._own, os.pipe())
        self.block_read, self.block_write = map(self._own, os.pipe())
        self.oom_before = group.oom_kills() if group else 0
        self.root = 0
        """The process whose descendants are the run: the init of its pid namespace."""
        self.root_fd = -1

    def _own(self, fd: int) -> int:
        self.open.add(fd)
        return fd

    def _close(self, fd: int) -> None:
        # Once only: another thread may already have been given the same number.
        if fd in self.open:
            self.open.remove(fd)
            os.close(fd)

    def _close_all(self) -> None:
        for fd in list(self.open):
            self._close(fd)

    def go(self) -> Outcome:
        """Start, admit, watch, end."""
        started = time.monotonic()
        try:
            if self.group:
                self.group.limit(self.limits.memory_mb, PROCESSES)
            self._spawn()
        except OSError as error:
            self.outcome.end = "infra"
            self.outcome.output["stderr"] += str(error).encode()
            return self.outcome
        try:
            if self._admit():
                self._watch()
            else:
                self.outcome.end = "infra"
        finally:
            self._finish(time.monotonic() - started)
        return self.outcome

    def _command(self) -> tuple[Command, str | None, str]:
        if self.isolate:
            return isolated(self.info_write, self.block_read), None, "/driver"
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        return exposed(folder), str(folder / "box"), str(folder)

    def _spawn(self) -> None:
        command, cwd, driver = self._command()
        memory = SECOND_LINE_MB if self.group else self.limits.memory_mb
        # Counted per user outside any namespace, so useless for root and wrong without one.
        processes = PROCESSES if self.isolate and os.getuid() != 0 else 0
        cpu_s = int(self.limits.timeout_s) + 2
        numbers = [
            self.job_fd,
            self.frames_child.fileno(),
            cpu_s,
            max(memory, self.limits.memory_mb) << 20,
            processes,
        ]
        fds = [*command.fds, *numbers[:2], self.info_write, self.block_read]
        try:
            self.process = subprocess.Popen(
                [*command.argv, *map(str, numbers), driver],
                stdin=self.stdin_fd,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=fds,
                env=ENVIRONMENT,
                cwd=cwd,
                start_new_session=not self.isolate,
            )
        finally:
            command.close()
        for fd in (self.job_fd, self.info_write, self.block_read):
            self._close(fd)
        self.frames_child.close()

    def _admit(self) -> bool:
        """Learn the run's init, put it under the limits, then let it go on."""
        if self.isolate:
            text = b""
            deadline = time.monotonic() + START_S
            while not text.endswith(b"}\n"):
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([self.info_read], [], [], left)[0]:
                    return False
                part = os.read(self.info_read, 4096)
                if not part:
                    self._pump(START_S)
                    return False
                text += part
            self.root = json.loads(text)["child-pid"]
        else:
            self.root = self.process.pid
        try:
            self.root_fd = self._own(os.pidfd_open(self.root))
            if self.group:
                self.group.add(self.root)
            if self.isolate:  # without bubblewrap nobody waits at the other end
                os.write(self.block_write, b"x")
        except OSError:
            return False
        return True

    def _watch(self) -> None:
        self._pump(self.limits.timeout_s)

    def _pump(self, timeout_s: float) -> None:
        """Drain while it runs; stop at its end, at the deadline or at a limit."""
        assert self.process.stdout
        assert self.process.stderr
        deadline = time.monotonic() + timeout_s
        exited = self._own(os.pidfd_open(self.process.pid))
        fds = {
            "stdout": self.process.stdout.fileno(),
            "stderr": self.process.stderr.fileno(),
            "frames": self.frames.fileno(),
        }
        with closing(Streams(fds, exited, self.outcome.output)) as streams:
            while (left := deadline - time.monotonic()) > 0:
                has_ended = streams.drain(min(left, TICK_S))
                if has_ended:
                    streams.drain_rest()
                if streams.overflow:
                    self.outcome.end = "output_limit"
                    return
                if has_ended or not self._within_limits():
                    return
            self._time_out()

    def _time_out(self) -> None:
        self.outcome.end = "timeout"
        self.outcome.cpu_s = measure(self.root).cpu_s
        self.outcome.starved_s = waited_s(self.root)

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
        usage = measure(self.root)
        if usage.memory_bytes > self.limits.memory_mb << 20:
            self.outcome.end = "oom"
        elif usage.processes > PROCESSES:
            self.outcome.end = "processes"
        else:
            return True
        return False

    def _finish(self, wall_s: float) -> None:
        """Kill whatever is left, collect the exit code."""
        if self.root_fd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.root_fd, signal.SIGKILL)
        if not self.isolate:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        # Not Popen.kill: it would collect the exit status first.
        os.kill(self.process.pid, signal.SIGKILL)
        _, status = os.waitpid(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        code = self.process.returncode
        self.outcome.code = 128 - code if code < 0 else code
        self.outcome.wall_s = wall_s
        if self.group and self.group.oom_kills() > self.oom_before:
            self.outcome.end = "oom"
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
