"""Inside the degraded back end: landlock and seccomp, on a machine that forbids namespaces.

Weaker than the others, and only used when somebody names it: the program sees that files exist,
shares the machine's process numbers, and no scratch space is capped but by the size of one file.
Two processes: the first is a subreaper that ends whatever is left; the second confines itself
and runs the launcher.
"""

import ctypes
import posix
import sys
import time
from signal import SIG_DFL, SIGKILL, SIGTERM, signal

from gristmill.engines.sandbox import calls, launcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

CREATE, ADD, RESTRICT = 444, 445, 446
VERSION_FLAG, BENEATH = 1, 1
NEEDED_ABI = 6
"""The first that keeps signals inside (Linux 6.12)."""
ALL_FILES, READ = 0xFFFF, 0b1101
"""All rights on files; execute, read a file, read a folder."""
PLAIN = 0b1100_0000_0000_0111
"""Rights that a single file can have."""
NETWORK, SCOPED = 0b11, 0b11
SUBREAPER = 36
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
ENDING_S = 2.0


def main(numbers: list[int], folder: str) -> "NoReturn":
    """Run one job: `numbers` are the launcher's and, first, the descriptor of the filter."""
    filter_fd, *rest = numbers
    program = launcher.read_all(filter_fd)
    posix.close(filter_fd)
    calls.control(calls.PDEATHSIG, SIGKILL)
    calls.control(SUBREAPER, 1)
    calls.control(calls.DUMPABLE, 0)
    child = posix.fork()
    if child:
        signal(SIGTERM, lambda *_: end_all(128 + SIGTERM))
        posix.closerange(0, 1 << 16)
        while True:
            pid, status = posix.wait()
            if pid == child:
                code = posix.waitstatus_to_exitcode(status)
                end_all(128 - code if code < 0 else code)
    signal(SIGTERM, SIG_DFL)
    calls.control(calls.NO_NEW_PRIVS, 1)
    restrict(sys.argv[8:], folder)
    held = calls.Filter(program)
    calls.perform([calls.DROPPING, *held.steps])
    calls.control(calls.DUMPABLE, 1)
    launcher.main(rest, folder)


def restrict(readable: list[str], folder: str) -> None:
    """Let this process read the system's libraries, write its own folder, and no more."""
    version = calls.LIBC.syscall(CREATE, None, 0, VERSION_FLAG)
    if version < NEEDED_ABI:
        raise OSError(0, f"landlock ABI {version}, needed {NEEDED_ABI} (Linux 6.12)")
    wanted = (ctypes.c_uint64 * 3)(ALL_FILES, NETWORK, SCOPED)
    ruleset = calls.LIBC.syscall(CREATE, ctypes.byref(wanted), 24, 0)
    if ruleset < 0:
        calls.fail("landlock_create_ruleset")
    for path in (*readable, folder):
        allow(ruleset, path, READ)
    for path in DEVICES:
        allow(ruleset, path, 0b110)
    allow(ruleset, folder + "/box", ALL_FILES)
    if calls.LIBC.syscall(RESTRICT, ruleset, 0):
        calls.fail("landlock_restrict_self")
    posix.close(ruleset)


def allow(ruleset: int, path: str, rights: int) -> None:
    """Add rights on a file, or on a folder and all below it."""
    fd = posix.open(path, posix.O_PATH | posix.O_CLOEXEC)
    if posix.fstat(fd).st_mode & 0o170000 != 0o040000:
        rights &= PLAIN
    rule = rights.to_bytes(8, sys.byteorder) + fd.to_bytes(4, sys.byteorder)
    if calls.LIBC.syscall(ADD, ruleset, BENEATH, rule, 0):
        calls.fail(f"landlock_add_rule {path}")
    posix.close(fd)


def end_all(code: int) -> "NoReturn":
    """Kill every process below this one, whatever it calls itself, then leave."""
    deadline = time.monotonic() + ENDING_S
    here = posix.getpid()
    while time.monotonic() < deadline and (left := descendants(here)):
        for pid in left:
            try:
                posix.kill(pid, SIGKILL)
            except ProcessLookupError:
                continue
        try:
            while posix.waitpid(-1, posix.WNOHANG)[0]:
                continue
        except ChildProcessError:
            break
    posix._exit(code)


def descendants(pid: int) -> list[int]:
    """Return the processes below one."""
    try:
        fd = posix.open(f"/proc/{pid}/task/{pid}/children", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return []
    children = [int(part) for part in launcher.read_all(fd).split()]
    posix.close(fd)
    return children + [below for child in children for below in descendants(child)]
