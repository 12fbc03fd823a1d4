"""The system calls that a program may not make, as a filter for the kernel.

A deny-list: what is not named here works, so that threads, subprocesses and multiprocessing do.
Denied calls fail as they would for an unprivileged user; only a foreign architecture kills.
Numbers are those of the kernel's own tables for x86-64 and aarch64.
"""

from __future__ import annotations

import errno
import platform
import struct

from gristmill.errors import RequirementError

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32 = 0x40000000
"""Numbers from here on are the x32 table of x86-64: the same calls by another name."""

DENIED: dict[str, tuple[int | None, int | None]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "create_module": (174, None),
    "init_module": (175, 105),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "syslog": (103, 116),
    "personality": (135, 92),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "modify_ldt": (154, None),
    "iopl": (172, None),
    "ioperm": (173, None),
    "vhangup": (153, 58),
    "uselib": (134, None),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "memfd_secret": (447, 447),
}

UNCOUNTED: dict[str, tuple[int | None, int | None]] = {
    "memfd_create": (319, 279),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
}
"""Denied besides where no control group counts memory: these get memory that no process maps, so
neither the watcher nor the limit of the address space sees it."""

SHARED: dict[str, tuple[int | None, int | None]] = UNCOUNTED | {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "setpriority": (141, 140),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
}
"""Denied besides where files, processes and queues are the machine's own: landlock does not see
changes of a file's mode or owner, nor of another process's priority."""
PRLIMIT = (302, 261)

SOCKET, SOCKETPAIR, CLONE, CLONE3, IOCTL = (41, 198), (53, 199), (56, 220), (435, 435), (16, 29)
AF_UNIX = 1
NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""
TERMINAL = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX: typing on somebody's terminal."""

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, ARGUMENT_0, ARGUMENT_1 = 0, 4, 16, 24
ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000

Instruction = tuple[int, int, int, int]


def build_filter(machine: str = "", *, counted: bool = True, shared: bool = False) -> bytes:
    """Return the filter for this machine's architecture, as `bwrap --seccomp` reads it.

    `counted` says that a control group counts the memory of a run.
    `shared` says that files and processes are the machine's own: then no socket can be made, but
    pairs of them can, and what landlock does not cover is denied too.
    """
    machine = machine or platform.machine()
    if machine not in ARCHITECTURES:
        raise RequirementError(
            f"the sandbox has no table of system calls for '{machine}', "
            f"only for {sorted(ARCHITECTURES)}; run on one of these"
        )
    column = list(ARCHITECTURES).index(machine)
    lines: list[Instruction] = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, ARCHITECTURES[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
    ]
    if machine == "x86_64":
        lines += [(AT_LEAST, 0, 1, X32), _fail(errno.ENOSYS)]
    denied = DENIED | ({} if counted else UNCOUNTED) | (SHARED if shared else {})
    for numbers in denied.values():
        number = numbers[column]
        if number is not None:
            lines += [(EQUAL, 0, 1, number), _fail(errno.EPERM)]
    # glibc falls back to clone, whose flags can be seen; clone3 hides them behind a pointer.
    lines += [(EQUAL, 0, 1, CLONE3[column]), _fail(errno.ENOSYS)]
    if shared:
        lines += [(EQUAL, 0, 1, SOCKET[column]), _fail(errno.EACCES)]
        lines += _only_if(PRLIMIT[column], ARGUMENT_0, [(EQUAL, 1, 0, 0)], errno.EPERM)
    for numbers in (SOCKET, SOCKETPAIR):
        lines += _only_if(numbers[column], ARGUMENT_0, [(EQUAL, 1, 0, AF_UNIX)], errno.EACCES)
    lines += _only_if(CLONE[column], ARGUMENT_0, [(ANY_BIT, 0, 1, NAMESPACES)], errno.EPERM)
    for request in TERMINAL:
        lines += _only_if(IOCTL[column], ARGUMENT_1, [(EQUAL, 0, 1, request)], errno.EPERM)
    lines.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _fail(number: int) -> Instruction:
    return (RETURN, 0, 0, ERROR | number)


def _only_if(call: int, at: int, test: list[Instruction], error: int) -> list[Instruction]:
    """Look at one argument of one call: the test jumps over the failure when all is well."""
    inner: list[Instruction] = [(LOAD, 0, 0, at), *test, _fail(error), (LOAD, 0, 0, NUMBER)]
    return [(EQUAL, 0, len(inner), call), *inner]
