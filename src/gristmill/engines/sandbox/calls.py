"""Inside the sandbox: the system calls that Python 3.11 does not offer, through ctypes.

Only for a process with one thread: the interpreter's lock is held during every call, and a
cloned child goes on in the same interpreter as after a fork.
"""

import ctypes
import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SIGCHLD = 17
NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (
    0x00020000,
    0x04000000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
PIDFD = 0x1000
RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8
BIND, RECURSIVE, PRIVATE = 0x1000, 0x4000, 0x40000
DETACH = 2
PDEATHSIG, DUMPABLE, SECCOMP, CAPBSET_DROP, NO_NEW_PRIVS, AMBIENT = 1, 4, 22, 24, 38, 47
CAPABILITY_VERSION = 0x20080522
NUMBERS = {
    "x86_64": {"clone": 56, "capset": 126, "pivot_root": 155, "mount_setattr": 442},
    "aarch64": {"clone": 220, "capset": 91, "pivot_root": 41, "mount_setattr": 442},
}[posix.uname().machine]

# PyDLL keeps the interpreter's lock, which no other thread could take anyway.
LIBC = ctypes.PyDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
LIBC.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
LIBC.mount.argtypes = [*[ctypes.c_char_p] * 3, ctypes.c_ulong, ctypes.c_char_p]
# Made once: a type that is made in a run costs that run its memory pages.
NO_CAPABILITIES = (ctypes.c_uint32 * 6)()
CAPABILITY_HEAD = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)


def call(name: str, *args: "Any") -> int:
    """Make a system call by its name; raise OSError with the name when it fails."""
    found = LIBC.syscall(NUMBERS[name], *args)
    return found if found >= 0 else fail(name)


def fail(what: str) -> int:
    """Raise what the last call left in errno."""
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {posix.strerror(number)}")


def clone(flags: int) -> tuple[int, int]:
    """Fork into new namespaces; return (0, -1) in the child, (pid, pidfd) in the parent.

    The libraries' own fork handlers do not run: a program may only run in a fork of this child.
    """
    pidfd = ctypes.c_int(-1)
    pid = call("clone", flags | PIDFD | SIGCHLD, None, ctypes.byref(pidfd), None, None)
    return pid, pidfd.value if pid else -1


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount, or raise OSError that names the target."""
    texts = [text.encode() or None for text in (source, target, kind)]
    if LIBC.mount(*texts, flags, options.encode() or None):
        fail(f"mount {kind or 'bind'} {target}")


def attributes(target: str, flags: int) -> None:
    """Set mount attributes (read-only, nosuid, nodev) on a mount and all below it."""
    wanted = (ctypes.c_uint64 * 4)(flags, 0, 0, 0)
    recursive, here = 0x8000, -100
    call("mount_setattr", here, target.encode(), recursive, ctypes.byref(wanted), 32)


def enter_root(new: str) -> None:
    """Make a mounted folder the root of the file system, and let go of the old one."""
    posix.chdir(new)
    call("pivot_root", b".", b".")
    if LIBC.umount2(b".", DETACH):
        fail("umount /")
    posix.chdir("/")


def control(option: int, *args: int) -> None:
    """Call prctl."""
    if LIBC.prctl(option, *(*args, 0, 0, 0, 0)[:4]) < 0:
        fail(f"prctl {option}")


def name_host(name: str) -> None:
    """Set the host name of the own namespace."""
    if LIBC.sethostname(name.encode(), len(name)):
        fail("sethostname")


def forget_bounding_set() -> None:
    """Let no executed file give a capability back."""
    for capability in range(64):
        if LIBC.prctl(CAPBSET_DROP, capability, 0, 0, 0):
            return


def drop_capabilities() -> None:
    """Give up every capability for good."""
    call("capset", CAPABILITY_HEAD, NO_CAPABILITIES)


def exit_code(status: int) -> int:
    """Return an exit code as a shell counts: 128 + n for signal n."""
    code = posix.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def microseconds(usage: "Any") -> int:
    """Return the CPU time that the kernel counted."""
    return int((usage.ru_utime + usage.ru_stime) * 1e6)


def resident() -> int:
    """Return this process's resident memory in pages; 0 where there is no /proc."""
    try:
        fd = posix.open("/proc/self/statm", posix.O_RDONLY)
    except OSError:
        return 0
    text = posix.read(fd, 256)
    posix.close(fd)
    return int(text.split()[1])


class Filter:
    """A seccomp program, kept in memory in the form that the kernel reads."""

    def __init__(self, program: bytes) -> None:
        self.program = ctypes.create_string_buffer(program, len(program))
        fields = [("length", ctypes.c_ushort), ("lines", ctypes.c_void_p)]
        kind = type("Program", (ctypes.Structure,), {"_fields_": fields})
        self.head = kind(len(program) // 8, ctypes.addressof(self.program))

    def install(self) -> None:
        """Hold this process and all its children to the filter."""
        control(NO_NEW_PRIVS, 1)
        control(SECCOMP, 2, ctypes.addressof(self.head))
