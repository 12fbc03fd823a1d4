"""The default back end: a warm interpreter per slot, of which every run is a fork.

`warm.py` is the inside of it. This side starts it by exec with nothing but a control socket,
passes it the descriptors of one job at a time, and replaces it when it has grown old, grown fat
or behaved in any way that it should not.
"""

from __future__ import annotations

import array
import os
import select
import signal
import socket
import subprocess
from concurrent.futures import Executor
from contextlib import ExitStack, suppress
from functools import cache
from marshal import dumps
from pathlib import Path
from threading import Event

from gristmill.engines.sandbox.cgroups import Group
from gristmill.engines.sandbox.isolation import (
    ENVIRONMENT,
    GROUP,
    PASSWD,
    SCRATCH_MB,
    interpreter,
    memory_file,
    view,
)
from gristmill.engines.sandbox.profiles import BARE, Profile
from gristmill.engines.sandbox.seccomp import build_filter
from gristmill.engines.sandbox.watch import PROCESSES, START_S, Limits, Outcome, Run, pid_of

BOOT = """import marshal, posix, sys
posix.unsetenv("LD_BIND_NOW"), posix.environ.pop(b"LD_BIND_NOW")
fd, control = map(int, sys.argv[1:])
config, modules = marshal.loads(b"".join(iter(lambda: posix.read(fd, 1 << 20), b"")))
posix.close(fd)
for name, code in modules:
    module = sys.modules[name] = type(sys)(name)
    module.__path__ = []
    exec(code, module.__dict__)
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
module.main(config, control)
"""
MODULES = (
    *("trees", "chance", "asserts", "taking", "compare", "hiding", "guards", "mutants", "outside"),
    "plan",
    *("suites", "interpreter", "launcher", "calls", "doors", "reader", "root", "warm"),
)
"""In the order of their imports. They come in memory: no folder of ours is seen inside."""
EAGER = {"LD_BIND_NOW": "1"}
"""It has symbols found once, not in every fork; BOOT forgets it before anything else."""
SCRATCH_FILES = {"/tmp": 2048, "/box": 1536, "/dev/shm": 512}
RUNS = 5000
"""Runs after which an interpreter is replaced."""
GROWTH_RATE = 0.2
ENDING_S = 5.0
"""How long the end of a killed run may take before the whole interpreter goes."""


class Zygote:
    """One warm interpreter, for one run at a time."""

    def __init__(self, profile: Profile = BARE, group: Group | None = None) -> None:
        """Start it; raises OSError when this machine does not let it.

        It dies with the thread that calls this, so that must be one that lives as long.
        """
        self.profile, self.group = profile, group
        self.runs = self.pages = 0
        self.is_sound = True
        # A file, not a pipe: nobody reads it while it runs, and a full pipe would hold it up.
        self.words = os.fdopen(os.memfd_create("words", os.MFD_CLOEXEC), "rb")
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        text = _boot(profile, os.getpid(), counted=group is not None)
        boot, empty = memory_file(text), memory_file(b"")
        try:
            self.process = subprocess.Popen(
                [interpreter(), *profile.flags, "-c", BOOT, str(boot), str(theirs.fileno())],
                stdin=empty,
                stdout=subprocess.DEVNULL,
                stderr=self.words,
                pass_fds=(boot, theirs.fileno()),
                env=ENVIRONMENT | EAGER,
                cwd="/",
                start_new_session=True,
            )
        except OSError:
            self.control.close()
            self.words.close()
            raise
        finally:
            theirs.close()
            os.close(boot)
            os.close(empty)
        self._get_ready()

    def _get_ready(self) -> None:
        """Wait for its first word, and put it into the control group."""
        with ExitStack() as undo:
            undo.callback(self.close)
            words, fd = self.receive(START_S)
            if words[0] != "ready" or fd < 0:
                raise OSError(self._last_words() or "the warm interpreter did not start")
            try:
                if self.group:
                    self.group.add(pid_of(fd))
            finally:
                os.close(fd)
            undo.pop_all()

    def _last_words(self) -> str:
        """Return the last line that it wrote before it ended."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(1)
        lines = os.pread(self.words.fileno(), 1 << 16, 0).decode(errors="replace").splitlines()
        return lines[-1] if lines else ""

    @property
    def is_worn(self) -> bool:
        """Whether it should be replaced before the next run."""
        return not self.is_sound or self.runs >= RUNS

    def send(self, numbers: list[int], fds: list[int]) -> None:
        """Give it a job; raises OSError when it has gone."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        self.runs += 1
        self.control.sendmsg([" ".join(map(str, numbers)).encode()], rights)

    def receive(self, wait_s: float) -> tuple[list[str], int]:
        """Return the words of its next message and the descriptor in it; ([""], -1) if none."""
        try:
            if not select.select([self.control], [], [], wait_s)[0]:
                return [""], -1
            data, fds, _, _ = socket.recv_fds(self.control, 256, 1)
        except OSError:
            return [""], -1
        return data.decode().split() or [""], fds[0] if fds else -1

    def weigh(self, pages: int) -> None:
        """Remember its memory after a run; one that keeps growing is replaced."""
        if not self.pages:
            self.pages = pages
        elif pages > (1 + GROWTH_RATE) * self.pages:
            self.is_sound = False

    def close(self) -> None:
        """End it and everything that it runs."""
        self.is_sound = False
        self.control.close()
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self.words.close()


class Slot:
    """A place for one run at a time: a control group, and the interpreter that lives in it."""

    def __init__(self, group: Group | None, profile: Profile, spawner: Executor) -> None:
        self.group, self.profile, self.spawner = group, profile, spawner
        self.zygote: Zygote | None = None

    def fresh(self) -> Zygote:
        """Return an interpreter that is fit for a run; raises OSError when none will start."""
        if self.zygote and self.zygote.is_worn:
            self.close()
        if not self.zygote:
            self.zygote = self.spawner.submit(Zygote, self.profile, self.group).result()
        return self.zygote

    def close(self) -> None:
        """End the interpreter."""
        zygote, self.zygote = self.zygote, None
        if zygote:
            zygote.close()

    def execute(
        self, job: bytes, stdin: bytes, limits: Limits, stopping: Event | None = None
    ) -> Outcome:
        """Run one job to its end; returns within the time limit and a second."""
        with ExitStack() as stack:
            return _Warm(job, stdin, limits, self, stack, stopping).go()


class _Warm(Run):
    """A run that a warm interpreter forks."""

    spare_processes = 5
    """The interpreter, its reader, the two of the next place, and an init that is still going."""

    def __init__(
        self,
        job: bytes,
        stdin: bytes,
        limits: Limits,
        slot: Slot,
        stack: ExitStack,
        stopping: Event | None,
    ) -> None:
        super().__init__(job, stdin, limits, slot.group, stack, stopping)
        self.slot = slot
        self.pipes = {name: tuple(map(self.own, os.pipe())) for name in ("stdout", "stderr")}

    def make_room(self) -> None:
        """End the interpreter: it may hold what large texts have left."""
        self.slot.close()

    def prepare(self) -> None:
        """Have an interpreter: its start is nobody's time."""
        self.zygote = self.slot.fresh()

    def spawn(self) -> None:
        """Hand the job over."""
        ends = [self.job_fd, self.stdin_fd, *(self.pipes[n][1] for n in ("stdout", "stderr"))]
        try:
            self.zygote.send(
                [*self.per_process(), PROCESSES + self.spare_processes],
                [*ends, self.frames_child.fileno()],
            )
        except OSError:
            self.zygote.is_sound = False
            raise
        for fd in ends:
            self.close(fd)
        self.frames_child.close()

    def admit(self) -> bool:
        """Learn the run's init; it is born inside its limits."""
        words, fd = self.zygote.receive(START_S)
        if words[0] != "started" or fd < 0:
            self.zygote.is_sound = False
            return False
        self.root_fd = self.own(fd)
        self.root = pid_of(fd)
        return True

    def ending(self) -> int:
        """Return the control socket: it can be read when the run has been reaped."""
        return self.zygote.control.fileno()

    def outputs(self) -> tuple[int, int]:
        """Return the read ends of its pipes."""
        return self.pipes["stdout"][0], self.pipes["stderr"][0]

    def finish(self) -> None:
        """Kill whatever is left, learn the exit code; distrust an interpreter that went wrong."""
        if self.root_fd >= 0 and self.outcome.end != "exited":
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.root_fd, signal.SIGKILL)
        words, _ = self.zygote.receive(ENDING_S) if self.root_fd >= 0 else ([""], -1)
        if words[0] == "ended":
            self.outcome.code = int(words[1])
            self.zygote.weigh(int(words[2]))
            # An init that was killed collected nothing: then what the watch saw is more.
            self.outcome.cpu_s = max(self.outcome.cpu_s or 0.0, int(words[3]) / 1e6)
        else:
            self.zygote.is_sound = False
            if self.outcome.end == "exited":
                self.outcome.end = "infra"
        if not self.zygote.is_sound:
            self.slot.close()


@cache
def _boot(profile: Profile, parent: int, *, counted: bool) -> bytes:
    """Return configuration and modules of a warm interpreter, as its first program reads them."""
    here, inner = Path(__file__).parent, str(__package__)
    parts = inner.split(".")
    texts = {".".join(parts[: i + 1]): b"" for i in range(len(parts))}
    texts |= {f"{inner}.{name}": (here / f"{name}.py").read_bytes() for name in MODULES}
    modules = [
        (name, compile(text, f"{name.rpartition('.')[2]}.py", "exec", 0, True))
        for name, text in texts.items()
    ]
    config = {
        "parent": parent,
        "binds": [*((path, path) for path in view().binds), *profile.binds],
        "links": list(view().links),
        "files": [("/etc/passwd", PASSWD.decode()), ("/etc/group", GROUP.decode())],
        "scratch": {
            path: f"mode=1777,uid=65534,gid=65534,size={size_mb}m,nr_inodes={SCRATCH_FILES[path]}"
            for path, size_mb in SCRATCH_MB.items()
        },
        "filter": build_filter(counted=counted),
        "preload": list(profile.preload),
        "paths": list(profile.paths),
    }
    return dumps((config, modules))
