"""Inside the sandbox: the first process of a run's pid namespace, which only reaps.

It is a few lines of machine code that share the memory and the descriptors of the warm
interpreter: a fork that runs Python costs as many memory pages as the program's own process. It
calls nothing but the kernel, and no program can stop, trace or read it. When it is killed, the
kernel kills whatever lives in its namespace.
"""

import _signal  # type: ignore[import-not-found]  # typeshed has only `signal`, which makes enums
import ctypes
import posix
from contextlib import suppress

from gristmill.engines.sandbox import calls

SIGKILL = 9
CODE = bytes.fromhex(
    {
        "x86_64": "4889fb"  # mov rbx, rdi: the argument, a mask of SIGCHLD and a count
        "31ff 4889de 31d2 41ba08000000 b80e000000 0f05"  # rt_sigprocmask(SIG_BLOCK, mask, 0, 8)
        "48ff4308"  # count: before it collects, so that nobody is gone and not counted
        "48c7c7ffffffff 31f6 ba01000000 4531d2 b83d000000 0f05"  # wait4(-1, 0, WNOHANG, 0)
        "4885c0 7fe3"  # once more if it collected one
        "4889df 31f6 31d2 41ba08000000 b880000000 0f05"  # rt_sigtimedwait(mask, 0, 0, 8)
        "ebc9",  # back to the count
        "aarch64": "f30300aa"  # the same: mov x19, x0
        "000080d2 e10313aa 020080d2 030180d2 e81080d2 010000d4"
        "600640f9 00040091 600600f9"
        "00008092 010080d2 220080d2 030080d2 882080d2 010000d4"
        "1f0000f1 2cffff54"
        "e00313aa 010080d2 020080d2 030180d2 281180d2 010000d4"
        "efffff17",
    }[posix.uname().machine]
)
SIGCHLD_MASK = 1 << calls.SIGCHLD - 1
VM, FILES = 0x100, 0x400
STACK = 4096
READ, WRITE, EXECUTE = 1, 2, 4
PRIVATE, ANONYMOUS = 2, 0x20
NAMESPACES = {"mnt": calls.NEWNS, "ipc": calls.NEWIPC, "pid": calls.NEWPID}
"""What is new for every run."""
State = ctypes.c_uint64 * 2


class Cradle:
    """Where first processes are made: their code, a stack, and the way back from their side."""

    def __init__(self) -> None:
        """Raise OSError where the machine lets no memory be executed."""
        flags = posix.O_RDONLY | posix.O_CLOEXEC
        self.home = [
            (posix.open(f"/proc/self/ns/{name}", flags), kind) for name, kind in NAMESPACES.items()
        ]
        self.entry, self.stack = mapped(STACK), mapped(STACK) + STACK
        ctypes.memmove(self.entry, CODE, len(CODE))
        if calls.LIBC.mprotect(self.entry, STACK, READ | EXECUTE):
            calls.fail("mprotect")

    def make(self) -> "First":
        """Enter new namespaces and return their first process; what is forked next is theirs."""
        if calls.LIBC.unshare(sum(NAMESPACES.values())):
            calls.fail("unshare")
        state, pidfd = State(SIGCHLD_MASK, 0), ctypes.c_int(-1)
        flags = VM | FILES | calls.PIDFD | calls.SIGCHLD
        pid = calls.LIBC.clone(
            self.entry, self.stack, flags, ctypes.byref(state), ctypes.byref(pidfd)
        )
        if pid < 0:
            try:
                calls.fail("clone")
            finally:
                self.leave()
        return First(pid, pidfd.value, state)

    def leave(self) -> None:
        """Return to our own namespaces; whoever cannot must not go on."""
        for fd, kind in self.home:
            if calls.LIBC.setns(fd, kind):
                raise RuntimeError("no way back from the namespaces of a run")


class First:
    """The first process of a run, as long as it is not collected."""

    def __init__(self, pid: int, pidfd: int, state: "ctypes.Array[ctypes.c_uint64]") -> None:
        self.pid, self.pidfd, self.state = pid, pidfd, state

    def is_alone(self) -> bool:
        """Say whether nobody lives beside it, nor ever ended in its arms.

        To be asked after the end of the program's process: what that leaves behind is this one's.
        """
        try:
            fd = posix.open(f"/proc/{self.pid}/task/{self.pid}/children", posix.O_RDONLY)
        except OSError:
            return False
        left = posix.read(fd, 16)
        posix.close(fd)
        return not left and self.state[1] <= 1  # it counts its start, too

    def kill(self) -> None:
        """End it and whatever lives in its namespace."""
        with suppress(ProcessLookupError):
            _signal.pidfd_send_signal(self.pidfd, SIGKILL)

    def collect(self) -> int:
        """Wait until all of them have gone; return the CPU time of those it collected, in us."""
        _, _, usage = posix.wait4(self.pid, 0)
        posix.close(self.pidfd)
        return calls.microseconds(usage)


def mapped(size: int) -> int:
    """Return the address of new memory."""
    found = calls.LIBC.mmap(None, size, READ | WRITE, PRIVATE | ANONYMOUS, -1, 0)
    if found == ctypes.c_void_p(-1).value:
        calls.fail("mmap")
    return int(found)
