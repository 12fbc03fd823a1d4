"""Inside the sandbox: a warm interpreter that forks one run after the other.

Two processes. The first stays outside, writes the user map of the second and waits for it. The
second enters its own user, mount, pid, ipc, uts and network namespaces while it has one thread,
builds the root that programs see, imports the profile's modules and then serves jobs. It never
reads a job: descriptors of texts, results and output go from the control socket to a fork.

Per run: a clone in fresh pid, mount and ipc namespaces is its init. It mounts empty scratch space
and a fresh /proc, drops every right, forks the process of the program, and reaps until that has
ended. The texts are read by a process that stays, `reader.py`.
"""

import _signal  # type: ignore[import-not-found]  # typeshed has only `signal`, which makes enums
import _socket
import gc
import posix
import resource
import select
import sys
from contextlib import suppress

from gristmill.engines.sandbox import calls, guards, launcher
from gristmill.engines.sandbox.doors import HEAD, receive, send
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
RUN_NAMESPACES = calls.NEWPID | calls.NEWNS | calls.NEWIPC


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
    has_proc = build_root(config)
    calls.forget_bounding_set()
    calls.control(calls.DUMPABLE, 0)
    sys.path += config["paths"]
    for name in config["preload"]:
        __import__(name)
    launcher.lower(launcher.SIZES)
    launcher.TOOLS.append(launcher.furnish(guards.codes()))
    jail = Jail(config, has_proc=has_proc, is_mapped=is_mapped)
    gc.collect()
    gc.freeze()
    if len(posix.listdir("/proc/self/task") if has_proc else [0]) != 1:
        raise RuntimeError("a module of the profile started a thread: namespaces need one")
    me = posix.pidfd_open(posix.getpid())
    send(control, f"ready {int(has_proc)} {int(is_mapped)}", [me])
    posix.close(me)
    work(control, jail)


def work(control: "_socket.socket", jail: "Jail") -> None:
    """Serve jobs; while one runs, the place of the next is prepared."""
    spare: Place | None = None
    reader: Reader | None = None
    leaving: list[Place] = []
    while True:
        leaving = rest(control, leaving)
        numbers, fds = receive(control)
        if not fds:
            posix._exit(0)
        reader = fit(reader) or Reader(jail.drop)
        if spare is None or not spare.is_alive():
            spare = Place(jail, control)
        place, spare = spare, None
        send(control, "started", [place.pidfd])
        job, *files, frames = fds
        inlet = posix.dup(place.inlet.fileno())
        place.take(numbers, [*files, frames])
        reader.take(numbers[:2], [job, frames, inlet])
        posix.close(inlet)
        for fd in fds:
            posix.close(fd)
        try:
            spare = Place(jail, control)
        except OSError:  # the program already has all the processes it may have
            spare = None
        if (told := place.wait(control)) is None:
            told = place.leave()
        else:
            leaving.append(place)
        reader = fit(reader)  # what a large text has left is gone before the next run is told of
        send(control, f"ended {told[0]} {calls.resident()} {told[1]}")


def fit(reader: "Reader | None") -> "Reader | None":
    """Return the reader if it can take another job; end it if it cannot."""
    if reader is None or reader.is_fit():
        return reader
    reader.close()
    return None


def rest(control: "_socket.socket", leaving: "list[Place]") -> "list[Place]":
    """Wait for a job, and collect the inits that go meanwhile; return those that still are."""
    while leaving:
        poll = select.poll()
        for fd in (control.fileno(), *(place.pidfd for place in leaving)):
            poll.register(fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll()}
        leaving = [place for place in leaving if place.is_alive()]
        if control.fileno() in ready:
            break
    return leaving


class Place:
    """An init in namespaces of its own, and below it the process of one program to come."""

    def __init__(self, jail: "Jail", control: "_socket.socket") -> None:
        self.door, door = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self.inlet, inlet = _socket.socketpair()
        self.pid, self.pidfd = calls.clone(RUN_NAMESPACES)
        if not self.pid:
            for end in (control, self.door, self.inlet):
                end.close()
            jail.enter(door, inlet)
        door.close()
        inlet.close()

    def is_alive(self) -> bool:
        """Say whether the init still waits: want of memory may have taken it."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        if not poll.poll(0):
            return True
        self.leave()
        return False

    def take(self, numbers: list[int], fds: list[int]) -> None:
        """Tell the program's process its limits and files; one that has gone shows by its end."""
        with suppress(OSError):
            send(self.inlet, " ".join(map(str, numbers)), fds)
        self.inlet.close()

    def wait(self, control: "_socket.socket") -> tuple[int, int] | None:
        """Wait for a program's end, None if its init has gone. An empty one is not waited for."""
        poll, door = select.poll(), self.door.fileno()
        poll.register(self.pidfd, select.POLLIN)
        poll.register(door, select.POLLIN)
        poll.register(control.fileno(), select.POLLHUP)
        ready = {fd for fd, _ in poll.poll()}
        if control.fileno() in ready:
            posix._exit(0)  # ours is the pid namespace: the kernel kills the run
        code, _, cpu_us = (self.door.recv(HEAD) if door in ready else b"").partition(b" ")
        return (int(code), int(cpu_us)) if code else None

    def leave(self) -> tuple[int, int]:
        """Collect the init; return its exit code and the CPU time of its whole tree in us."""
        _, status, usage = posix.wait4(self.pid, 0)
        posix.close(self.pidfd)
        self.door.close()
        self.inlet.close()
        return calls.exit_code(status), calls.microseconds(usage)


class Jail:
    """What is done to every run before its program: mounts, rights, the filter, an init."""

    def __init__(self, config: "dict[str, Any]", *, has_proc: bool, is_mapped: bool) -> None:
        self.filter = calls.Filter(config["filter"])
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
        ]
        """Empty scratch space and the process list of this run alone, then the rights."""

    def enter(self, door: "_socket.socket", inlet: "_socket.socket") -> "NoReturn":
        """Become a run's init: prepare everything, fork the program's process, reap."""
        try:
            calls.perform(self.steps)
            end = door.fileno()
            child = posix.fork()
        except BaseException as error:  # noqa: BLE001 - it must end here, whatever it is
            posix.write(2, f"{type(error).__name__}: {error}".encode())
            posix._exit(BROKEN)
        if not child:
            door.close()
            begin(inlet)
        posix.dup2(end, 0)
        posix.closerange(1, 1 << 16)
        reap(child)

    def drop(self) -> None:
        """Become nobody without any right, for good."""
        calls.perform(self.rights)


def begin(inlet: "_socket.socket") -> "NoReturn":
    """Be the process in which the program runs: wait for the parsed program, then run it."""
    calls.perform(SEEN)
    posix.setsid()
    _signal.signal(SIGINT, _signal.default_int_handler)
    numbers, fds = receive(inlet)
    if not fds:
        posix._exit(BROKEN)
    for i in range(3):
        posix.dup2(fds[i], i)
    launcher.limit(*numbers)
    launcher.go(launcher.read_all(inlet.fileno()), fds[3])


def reap(child: int) -> "NoReturn":
    """Collect whatever ends; when the program has, leave with its exit code.

    What it left behind is ours to end and to collect: it used time of the run, too.
    """
    while True:
        pid, status = posix.wait()
        if pid == child:
            code = calls.exit_code(status)
            with suppress(ChildProcessError, ProcessLookupError):
                while True:
                    if posix.waitpid(-1, posix.WNOHANG) == (0, 0):
                        posix.kill(-1, SIGKILL)
                        posix.wait()
            own, others = map(resource.getrusage, (0, -1))
            used = calls.microseconds(own) + calls.microseconds(others)
            posix.write(0, f"{code} {used}".encode())
            posix._exit(code)
