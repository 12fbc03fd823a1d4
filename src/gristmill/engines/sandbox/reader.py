"""Inside the sandbox: the process that reads the texts of every run, and never runs one.

It lives as long as the warm interpreter: a fork for every text would pay for the memory pages
that reading makes its own. No program can see it, because it is in another pid namespace; it is
nobody without any right, under the same filter. One that dies, hangs or grows is replaced.
"""

import _socket
import posix
import resource
import select
from contextlib import suppress

from gristmill.engines.sandbox import calls, launcher
from gristmill.engines.sandbox.doors import receive, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

SIGKILL = 9
DONE, WORN = b"1", b"0"
JOBS = 500
"""Texts that one process reads."""
GROWTH = 1024
"""Pages by which it may grow."""


class Reader:
    """A process that takes descriptors of a text, of results and of a waiting program."""

    def __init__(self, enter: "Callable[[], None]") -> None:
        self.door, door = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self.word = DONE
        self.jobs = 0
        self.pid = posix.fork()
        if not self.pid:
            posix.dup2(door.fileno(), 0)
            for fd in (1, 2):  # nobody reads what a parser says about a text
                posix.dup2(posix.open("/dev/null", posix.O_WRONLY), fd)
            posix.closerange(3, 1 << 16)
            enter()
            serve(_socket.socket(fileno=0))
        door.close()

    def is_fit(self) -> bool:
        """Say whether it can take a job: it lives, has done the last one and is not worn.

        Its word for a job comes before the program of that job can start.
        """
        poll = select.poll()
        poll.register(self.door, select.POLLIN)
        while poll.poll(0):
            try:
                self.word = self.door.recv(1)
            except ConnectionResetError:
                return False
            if not self.word:
                return False
        return self.word == DONE and self.jobs < JOBS

    def take(self, limits: "Sequence[int]", fds: "Sequence[int]") -> None:
        """Give it a job; when it has gone, the program that waits finds nothing to run."""
        self.jobs, self.word = self.jobs + 1, b""
        with suppress(OSError):
            send(self.door, " ".join(map(str, limits)), fds)

    def close(self) -> None:
        """End it."""
        posix.kill(self.pid, SIGKILL)
        posix.waitpid(self.pid, 0)
        self.door.close()


def serve(door: "_socket.socket") -> "NoReturn":
    """Read one job after the other."""
    most = calls.resident() + GROWTH
    while True:
        numbers, fds = receive(door)
        if not fds:
            posix._exit(0)
        limit(*numbers)
        job, frames, inlet = fds
        program = _socket.socket(fileno=inlet)
        try:
            package = launcher.parse(job, frames)
        except OSError:  # nobody listens any more
            package = b""
        door.send(DONE if calls.resident() <= most else WORN)
        with suppress(OSError):  # its process was killed while it waited
            program.sendall(package)
        program.close()
        posix.close(job)
        posix.close(frames)


def limit(cpu_s: int, address_bytes: int) -> None:
    """Let the next text cost what a run may cost; it can be set again, for nothing runs here."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    for which, most in (
        (resource.RLIMIT_CPU, int(used) + 1 + cpu_s),
        (resource.RLIMIT_AS, address_bytes),
    ):
        resource.setrlimit(which, (most, resource.getrlimit(which)[1]))
