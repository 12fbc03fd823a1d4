"""Inside the sandbox: the system calls that Python 3.11 does not offer, through ctypes.

Only for a process with one thread: the interpreter's lock is held during every call, and a
cloned child goes on in the same interpreter as after a fork.
"""

import ctypes
import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Step = tuple[Callable[..., int], tuple[Any, ...], str]

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


def perform(steps: "Iterable[Step]") -> None:
    """Make calls that were put together before; raise OSError at the first that fails.

    In a run every object that is made costs memory pages, so what a run calls is ready by then.
    """
    for function, arguments, what in steps:
        if function(*arguments) < 0:
            fail(what)


def mounting(source: str, target: str, kind: str, flags: int, options: str = "") -> "Step":
    """Return the call that mounts."""
    texts = [text.encode() or None for text in (source, target, kind)]
    what = f"mount {kind or 'bind'} {target}"
    return LIBC.mount, (*texts, flags, options.encode() or None), what


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount, or raise OSError that names the target."""
    perform([mounting(source, target, kind, flags, options)])


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


def controlling(option: int, *args: int) -> "Step":
    """Return a call of prctl."""
    return LIBC.prctl, (option, *(*args, 0, 0, 0, 0)[:4]), f"prctl {option}"


def control(option: int, *args: int) -> None:
    """Call prctl."""
    perform([controlling(option, *args)])


def name_host(name: str) -> None:
    """Set the host name of the own namespace."""
    if LIBC.sethostname(name.encode(), len(name)):
        fail("sethostname")


def forget_bounding_set() -> None:
    """Let no executed file give a capability back."""
    for capability in range(64):
        if LIBC.prctl(CAPBSET_DROP, capability, 0, 0, 0):
            return


DROPPING: "Step" = (
    LIBC.syscall,
    (NUMBERS["capset"], CAPABILITY_HEAD, NO_CAPABILITIES),
    "capset",
)
"""The call that gives up every capability for good."""


def becoming(user: int) -> "list[Step]":
    """Return the calls that make this process another user's."""
    return [
        (LIBC.setresgid, (user, user, user), "setresgid"),
        (LIBC.setresuid, (user, user, user), "setresuid"),
    ]


def entering(folder: str) -> "Step":
    """Return the call that makes a folder the current one."""
    return LIBC.chdir, (folder.encode(),), f"chdir {folder}"


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

    @property
    def steps(self) -> "list[Step]":
        """The calls that hold a process and its children to the filter, while this object lives."""
        return [
            controlling(NO_NEW_PRIVS, 1),
            controlling(SECCOMP, 2, ctypes.addressof(self.head)),
        ]
