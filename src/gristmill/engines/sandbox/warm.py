"""Inside the sandbox: a warm interpreter that forks one run after the other.

Two processes. The first stays outside, writes the user map of the second and waits for it. The
second enters its own user, mount, pid, ipc, uts and network namespaces while it has one thread,
builds the root that programs see, imports the profile's modules and then serves jobs. It never
reads a job: descriptors of texts, results and output go from the control socket to a fork.

Per run: an init in fresh pid, mount and ipc namespaces, `first.py`, and beside it a fork that
mounts empty scratch space and a fresh /proc, drops every right and becomes the process of the
program. The texts are read by a process that stays, `reader.py`.
"""

import _signal  # type: ignore[import-not-found]  # typeshed has only `signal`, which makes enums
import _socket
import gc
import posix
import select
import sys
from contextlib import suppress

from gristmill.engines.sandbox import calls, guards, launcher
from gristmill.engines.sandbox.doors import receive, send
from gristmill.engines.sandbox.first import Cradle, First
from gristmill.engines.sandbox.reader import Reader
from gristmill.engines.sandbox.root import build_root, mounting_proc, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

SIGINT, SIGKILL = 2, 9
BROKEN = 70
"""Exit code of an init that could not prepare its run: no program was started."""
NOBODY = 65534
OWN_NAMESPACES = (
    calls.NEWUSER | calls.NEWNS | calls.NEWPID | calls.NEWIPC | calls.NEWUTS | calls.NEWNET
)
SEEN = [calls.controlling(calls.DUMPABLE, 1)]
"""What lets a program read its own memory: it runs under the limits of nobody."""
INLET = 3
"""The one descriptor of a program's process besides the usual three, until its job comes."""


def main(config: "dict[str, Any]", control_fd: int) -> None:
    """Start the second process and wait for it."""
    calls.control(calls.PDEATHSIG, SIGKILL)
    if posix.getppid() != config["parent"]:
        posix._exit(0)
    reader, writer = posix.pipe()
    pid, _ = calls.clone(OWN_NAMESPACES)
    if pid:
        posix.close(reader)
        posix.close(control_fd)
        posix.write(writer, b"m" if write_maps(pid) else b"s")
        _, status = posix.waitpid(pid, 0)
        posix._exit(posix.waitstatus_to_exitcode(status) & 0xFF)
    posix.close(writer)
    answer = posix.read(reader, 1)
    posix.close(reader)
    if not answer:
        posix._exit(BROKEN)
    serve(config, _socket.socket(fileno=control_fd), is_mapped=answer == b"m")


def write_maps(pid: int) -> bool:
    """Map root and nobody when we may, else only ourselves, as nobody; say which."""
    uid, gid = posix.getuid(), posix.getgid()
    if uid == 0:
        try:
            for name in ("uid_map", "gid_map"):
                write(f"/proc/{pid}/{name}", f"0 0 1\n{NOBODY} {NOBODY} 1\n")
        except OSError:
            uid = 0  # fewer rights than root has: map one user, as anybody may
        else:
            return True
    write(f"/proc/{pid}/setgroups", "deny")
    write(f"/proc/{pid}/uid_map", f"{NOBODY} {uid} 1\n")
    write(f"/proc/{pid}/gid_map", f"{NOBODY} {gid} 1\n")
    return False


def serve(config: "dict[str, Any]", control: "_socket.socket", *, is_mapped: bool) -> None:
    """Prepare once, then run one job at a time until the socket's other end closes."""
    calls.control(calls.PDEATHSIG, SIGKILL)
    # An init hears the signals that it handles: none of a program's may end it.
    _signal.signal(SIGINT, _signal.SIG_IGN)
    if is_mapped:
        posix.setgroups([])
    calls.name_host("box")
    cradle = Cradle()
    has_proc = build_root(config)
    calls.forget_bounding_set()
    calls.control(calls.DUMPABLE, 0)
    sys.path += config["paths"]
    for name in config["preload"]:
        __import__(name)
    launcher.lower(launcher.SIZES)
    launcher.TOOLS.append(launcher.furnish(guards.codes()))
    jail = Jail(config, cradle, has_proc=has_proc, is_mapped=is_mapped)
    gc.collect()
    gc.freeze()
    if len(posix.listdir("/proc/self/task") if has_proc else [0]) != 1:
        raise RuntimeError("a module of the profile started a thread: namespaces need one")
    me = posix.pidfd_open(posix.getpid())
    send(control, f"ready {int(has_proc)} {int(is_mapped)}", [me])
    posix.close(me)
    work(control, jail)


def work(control: "_socket.socket", jail: "Jail") -> None:
    """Serve jobs; while the text of one is read, the place of the next is prepared."""
    spare: Place | None = None
    reader: Reader | None = None
    leaving: list[First] = []
    while True:
        leaving = rest(control, leaving)
        numbers, fds = receive(control)
        if not fds:
            posix._exit(0)
        reader = fit(reader) or Reader(jail.drop)
        if spare is None or not spare.is_alive():
            spare = Place(jail)
        place, spare = spare, None
        send(control, "started", [place.first.pidfd, place.pidfd])
        job, *files = fds
        place.take(numbers, files)
        reader.take(numbers[:2], [job, files[-1], place.inlet.fileno()])
        place.inlet.close()
        for fd in fds:
            posix.close(fd)
        with suppress(OSError):  # the program may already have all the processes it may have
            spare = Place(jail)
        code, cpu_us = place.wait(control)
        is_alone = place.first.is_alone()
        place.first.kill()
        if is_alone:
            leaving.append(place.first)
        else:
            cpu_us += place.first.collect()
        reader = fit(reader)  # what a large text has left is gone before the next run is told of
        send(control, f"ended {code} {calls.resident()} {cpu_us}")


def fit(reader: "Reader | None") -> "Reader | None":
    """Return the reader if it can take another job; end it if it cannot."""
    if reader is None or reader.is_fit():
        return reader
    reader.close()
    return None


def rest(control: "_socket.socket", leaving: "list[First]") -> "list[First]":
    """Wait for a job, and collect what is going meanwhile; return what still is."""
    while leaving:
        poll = select.poll()
        for fd in (control.fileno(), *(first.pidfd for first in leaving)):
            poll.register(fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll()}
        for first in leaving:
            if first.pidfd in ready:
                first.collect()
        leaving = [first for first in leaving if first.pidfd not in ready]
        if control.fileno() in ready:
            break
    return leaving


class Place:
    """Namespaces of their own, and in them the process of one program to come."""

    def __init__(self, jail: "Jail") -> None:
        self.inlet, inlet = _socket.socketpair()
        self.first = jail.cradle.make()
        try:
            self.pid = posix.fork()
        except OSError:
            jail.cradle.leave()
            self.first.kill()
            self.first.collect()
            raise
        if not self.pid:
            jail.enter(inlet.fileno())
        jail.cradle.leave()
        inlet.close()
        self.pidfd = posix.pidfd_open(self.pid)

    def is_alive(self) -> bool:
        """Say whether the process still waits: want of memory may have taken it."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        if not poll.poll(0):
            return True
        self.first.kill()
        self.collect()
        self.first.collect()
        return False

    def take(self, numbers: list[int], fds: list[int]) -> None:
        """Tell the program's process its limits and files; one that has gone shows by its end."""
        with suppress(OSError):
            send(self.inlet, " ".join(map(str, numbers)), fds)

    def wait(self, control: "_socket.socket") -> tuple[int, int]:
        """Wait for a program's end; return its exit code and its CPU time in us."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        poll.register(control.fileno(), select.POLLHUP)
        if control.fileno() in {fd for fd, _ in poll.poll()}:
            posix._exit(0)  # ours is the pid namespace: the kernel kills the run
        return self.collect()

    def collect(self) -> tuple[int, int]:
        """Collect the program's process; return its exit code and its CPU time in us."""
        _, status, usage = posix.wait4(self.pid, 0)
        posix.close(self.pidfd)
        self.inlet.close()
        return calls.exit_code(status), calls.microseconds(usage)


class Jail:
    """What is done to every run before its program: mounts, rights, the filter."""

    def __init__(
        self, config: "dict[str, Any]", cradle: Cradle, *, has_proc: bool, is_mapped: bool
    ) -> None:
        self.filter = calls.Filter(config["filter"])
        self.cradle = cradle
        flags = calls.NOSUID | calls.NODEV
        self.rights = [
            *(calls.becoming(NOBODY) if is_mapped else ()),
            calls.DROPPING,
            calls.controlling(calls.DUMPABLE, 0),
            *self.filter.steps,
        ]
        """What makes it nobody without any right, for good."""
        self.steps = [
            *(
                calls.mounting("tmpfs", path, "tmpfs", flags, options)
                for path, options in config["scratch"].items()
            ),
            *([mounting_proc("/proc")] if has_proc else ()),
            calls.entering("/box"),
            *self.rights,
            *SEEN,
        ]
        """Empty scratch space and the process list of this run alone, then the rights."""

    def enter(self, inlet: int) -> "NoReturn":
        """Be the process of a program to come, with nothing open but where that comes from."""
        try:
            posix.dup2(inlet, INLET)
            posix.closerange(INLET + 1, 1 << 16)
            calls.perform(self.steps)
            begin(_socket.socket(fileno=INLET))
        except BaseException as error:  # noqa: BLE001 - it must end here, whatever it is
            posix.write(2, f"{type(error).__name__}: {error}".encode())
            posix._exit(BROKEN)

    def drop(self) -> None:
        """Become nobody without any right, for good."""
        calls.perform(self.rights)


def begin(inlet: "_socket.socket") -> "NoReturn":
    """Be the process in which the program runs: wait for the parsed program, then run it."""
    posix.setsid()
    _signal.signal(SIGINT, _signal.default_int_handler)
    numbers, fds = receive(inlet)
    if not fds:
        posix._exit(BROKEN)
    for i in range(3):
        posix.dup2(fds[i], i)
    launcher.limit(*numbers)
    launcher.go(launcher.read_all(inlet.detach()), fds[3])
