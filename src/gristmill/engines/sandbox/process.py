"""A run in a process tree of its own: started cold, under bubblewrap or without any isolation."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Literal

from gristmill.engines.sandbox.cgroups import Group
from gristmill.engines.sandbox.isolation import (
    ENVIRONMENT,
    Command,
    confined,
    exposed,
    isolated,
    view,
)
from gristmill.engines.sandbox.profiles import BARE, Profile
from gristmill.engines.sandbox.watch import PROCESSES, START_S, Limits, Outcome, Run

__all__ = ["Limits", "Outcome", "execute"]

How = Literal["bubblewrap", "degraded", "none"]
ENDING_S = 3.0
"""How long the processes of a killed run may take to end."""


def execute(
    job: bytes,
    stdin: bytes,
    limits: Limits,
    group: Group | None,
    *,
    how: How = "bubblewrap",
    stopping: Event | None = None,
    profile: Profile = BARE,
) -> Outcome:
    """Run one job to its end, whatever it does; returns within the time limit and a second.

    It is killed when `stopping` is set: then the machine is to blame, not the program.
    """
    with ExitStack() as stack:
        return _Cold(job, stdin, limits, group, stack, stopping, how, profile).go()


class Slot:
    """A place for one cold run at a time."""

    def __init__(self, group: Group | None, how: How, profile: Profile = BARE) -> None:
        self.group, self.how, self.profile = group, how, profile

    def execute(
        self, job: bytes, stdin: bytes, limits: Limits, stopping: Event | None = None
    ) -> Outcome:
        """Run one job to its end; returns within the time limit and a second."""
        return execute(
            job,
            stdin,
            limits,
            self.group,
            how=self.how,
            stopping=stopping,
            profile=self.profile,
        )

    def close(self) -> None:
        """Do nothing: no process waits here."""


@contextmanager
def _scratch() -> Iterator[Path]:
    """Make a folder, and delete it however deep a program has made it."""
    folder = tempfile.mkdtemp(prefix="gristmill-")
    try:
        yield Path(folder)
    finally:
        try:
            shutil.rmtree(folder, ignore_errors=True)
        except RecursionError:  # rm goes as deep as folders do
            subprocess.run(["/bin/rm", "-rf", folder], check=False, stderr=subprocess.DEVNULL)


class _Cold(Run):
    """A run that starts an interpreter."""

    def __init__(
        self,
        job: bytes,
        stdin: bytes,
        limits: Limits,
        group: Group | None,
        stack: ExitStack,
        stopping: Event | None,
        how: How,
        profile: Profile,
    ) -> None:
        super().__init__(job, stdin, limits, group, stack, stopping)
        self.how, self.isolate, self.profile = how, how == "bubblewrap", profile
        self.info_read, self.info_write = map(self.own, os.pipe())
        self.block_read, self.block_write = map(self.own, os.pipe())
        self.used_before_s = group.used_s() if group else None

    def _command(self) -> tuple[Command, str | None, str]:
        if self.isolate:
            fds, counted = (self.info_write, self.block_read), self.group is not None
            return isolated(*fds, self.profile, counted=counted), None, "/driver"
        folder = self.stack.enter_context(_scratch())
        for source, inside in self.profile.binds:
            link = Path(f"{folder}{inside}")
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(source)
        command = confined(folder) if self.how == "degraded" else exposed(folder)
        return command, str(folder / "box"), str(folder)

    def spawn(self) -> None:
        """Start bubblewrap, or the interpreter itself."""
        command, cwd, driver = self._command()
        # Counted per user outside any namespace, so useless for root and wrong without one.
        processes = PROCESSES if self.isolate and os.getuid() != 0 else 0
        numbers = [self.job_fd, self.frames_child.fileno(), *self.per_process(), processes]
        fds = [*command.fds, *numbers[:2], self.info_write, self.block_read]
        binds = (*view().binds, *(source for source, _ in self.profile.binds))
        paths = binds if self.how == "degraded" else ()
        home = {} if self.isolate else {"HOME": str(cwd), "TMPDIR": str(cwd)}
        if self.profile.paths:
            root = "" if self.isolate else driver
            home["PYTHONPATH"] = ":".join(f"{root}{path}" for path in self.profile.paths)
        try:
            self.process = subprocess.Popen(
                [*command.argv, *map(str, numbers), driver, *paths],
                stdin=self.stdin_fd,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=fds,
                env=ENVIRONMENT | home,
                cwd=cwd,
                start_new_session=not self.isolate,
            )
        finally:
            command.close()
        for fd in (self.job_fd, self.info_write, self.block_read):
            self.close(fd)
        self.frames_child.close()

    def admit(self) -> bool:
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
                    self.pump(START_S)
                    return False
                text += part
            self.root = json.loads(text)["child-pid"]
        else:
            self.root = self.process.pid
        try:
            self.root_fd = self.own(os.pidfd_open(self.root))
            if self.group:
                self.group.add(self.root)
            if self.isolate:  # without bubblewrap nobody waits at the other end
                os.write(self.block_write, b"x")
        except OSError:
            return False
        return True

    def ending(self) -> int:
        """Return a descriptor of the process that was started."""
        return self.own(os.pidfd_open(self.process.pid))

    def outputs(self) -> tuple[int, int]:
        """Return the read ends of its pipes."""
        assert self.process.stdout
        assert self.process.stderr
        return self.process.stdout.fileno(), self.process.stderr.fileno()

    def finish(self) -> None:
        """Kill whatever is left, collect the exit code."""
        if self.root_fd >= 0 and self.how != "degraded":
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.root_fd, signal.SIGKILL)
            if self.isolate:  # it goes last of its namespace, and a fork bomb takes a while
                select.select([self.root_fd], [], [], ENDING_S)
        if self.how == "degraded":
            self._end_confined()
        if not self.isolate:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        # Not Popen.kill: it would collect the exit status first.
        os.kill(self.process.pid, signal.SIGKILL)
        _, status, usage = os.wait4(self.process.pid, 0)
        if not self.isolate:
            used_s = usage.ru_utime + usage.ru_stime
            self.outcome.cpu_s = max(self.outcome.cpu_s or 0.0, used_s)
        elif self.group and (used := self.group.used_s()) and self.used_before_s is not None:
            self.outcome.cpu_s = used - self.used_before_s
        self.process.returncode = os.waitstatus_to_exitcode(status)
        code = self.process.returncode
        self.outcome.code = 128 - code if code < 0 else code
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()

    def _end_confined(self) -> None:
        """Ask the subreaper to end everything; what hides from it is still in the group."""
        if self.root_fd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.root_fd, signal.SIGTERM)
            select.select([self.root_fd], [], [], ENDING_S)
        if self.group:
            self.group.kill()
