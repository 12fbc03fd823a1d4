"""How a run is set apart: the bubblewrap command with everything a program may see.

A program sees the interpreter and the system's libraries, read-only; empty /tmp, /box (where it
starts) and /dev/shm of its own; no network, no other process, no environment but ENVIRONMENT.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from importlib.util import MAGIC_NUMBER
from marshal import dumps
from pathlib import Path

from gristmill.engines.sandbox.profiles import BARE, FLAGS, Profile
from gristmill.engines.sandbox.seccomp import build_filter
from gristmill.errors import RequirementError

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/box",
    "USER": "nobody",
    "LOGNAME": "nobody",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
PASSWD = b"nobody:x:65534:65534:nobody:/box:/bin/sh\n"
GROUP = b"nogroup:x:65534:\n"
SCRATCH_MB = {"/tmp": 32, "/box": 24, "/dev/shm": 8}
PACKAGE = "gristmill/engines/sandbox"
CONFINE = """import sys
sys.path.insert(0, sys.argv[7])
from gristmill.engines.sandbox.confine import main
main([int(argument) for argument in sys.argv[1:7]], sys.argv[7])
"""
INSIDE = (
    *("launcher", "plan", "asserts", "chance", "compare", "hiding", "guards", "mutants", "outside"),
    *("trees", "interpreter", "suites", "taking"),
)
INSTALL = (
    "install bubblewrap (Debian, Ubuntu: apt-get install bubblewrap; Fedora: dnf install "
    "bubblewrap) and allow user namespaces (sysctl user.max_user_namespaces above 0; on Ubuntu "
    "24.04 an AppArmor profile for bwrap; in Docker --security-opt seccomp=unconfined)"
)


@dataclass(slots=True)
class Command:
    """A command line with the descriptors that it inherits; `close` ends our side of them."""

    argv: list[str]
    fds: list[int] = field(default_factory=list)

    def attach(self, content: bytes) -> str:
        """Add a file that lives in memory only; return the number of its descriptor."""
        self.fds.append(memory_file(content))
        return str(self.fds[-1])

    def close(self) -> None:
        """Close our copies."""
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()


def memory_file(content: bytes) -> int:
    """Return a descriptor to read `content` from; nobody can change it any more."""
    fd = os.memfd_create("gristmill", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    left = memoryview(content)
    while left:
        left = left[os.write(fd, left) :]
    os.lseek(fd, 0, os.SEEK_SET)
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


@cache
def interpreter() -> str:
    """Return the real file of the interpreter; programs run on the one that runs us."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable) or sys.executable)


@cache
def driver(names: tuple[str, ...] = INSIDE) -> dict[str, bytes]:
    """Return the files that run inside, by path, compiled once per process."""
    here = Path(__file__).parent
    compiled = {}
    for name in names:
        code = compile((here / f"{name}.py").read_bytes(), f"{name}.py", "exec", 0, True)
        compiled[f"{PACKAGE}/{name}.pyc"] = MAGIC_NUMBER + bytes(12) + dumps(code)
    return compiled


@cache
def find_bubblewrap() -> str:
    """Return the path of bubblewrap, or say what to do."""
    found = shutil.which("bwrap")
    if sys.platform != "linux" or not found:
        raise RequirementError(
            f"no isolation for generated programs: bubblewrap (bwrap) is not on PATH; {INSTALL}"
        )
    return found


@cache
def bubblewrap_version() -> str:
    """Return what `bwrap --version` says."""
    command = [find_bubblewrap(), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return done.stdout.strip().replace("bubblewrap ", "bwrap ")


@dataclass(frozen=True, slots=True)
class View:
    """What of this machine a program may read: paths and symbolic links, the same inside."""

    binds: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    """(path, what it points to)."""


@cache
def view() -> View:
    """Return the system's libraries and the interpreter, wherever this machine has them."""
    binds, links = ["/usr"], []
    for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"):
        path = Path(name)
        if path.is_symlink():
            links.append((name, str(path.readlink())))
        elif path.is_dir():
            binds.append(name)
    base = Path(sys.base_prefix).resolve()
    if not base.is_relative_to("/usr"):
        wanted = (Path(interpreter()), base / "lib", base / "lib64")
        binds += [str(path) for path in wanted if path.exists()]
    if Path("/etc/ld.so.cache").exists():
        binds.append("/etc/ld.so.cache")
    return View(tuple(binds), tuple(links))


@cache
def _view_options() -> tuple[str, ...]:
    """Return the read-only part of what a program sees."""
    options: list[str] = []
    for path in view().binds:
        options += ["--ro-bind", path, path]
    for name, target in view().links:
        options += ["--symlink", target, name]
    return tuple(options)


def isolated(
    info_fd: int, block_fd: int, profile: Profile = BARE, *, counted: bool = True
) -> Command:
    """Return the command up to the launcher's arguments, waiting on `block_fd` when ready.

    `counted` says that the run gets a control group, which counts its memory.
    """
    command = Command([find_bubblewrap(), "--unshare-all", "--unshare-user"])
    command.argv += ["--uid", "65534", "--gid", "65534", "--hostname", "box", "--cap-drop", "ALL"]
    command.argv += ["--die-with-parent", "--new-session", *_view_options()]
    for source, inside in profile.binds:
        command.argv += ["--ro-bind", source, inside]
    for path, content in {"/etc/passwd": PASSWD, "/etc/group": GROUP}.items():
        command.argv += ["--perms", "0444", "--ro-bind-data", command.attach(content), path]
    for name, content in driver().items():
        fd = command.attach(content)
        command.argv += ["--perms", "0444", "--ro-bind-data", fd, f"/driver/{name}"]
    # Read-only /proc: with root's own uid outside, files below /proc/sys could be written.
    command.argv += ["--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev"]
    for path, size_mb in SCRATCH_MB.items():
        command.argv += ["--size", str(size_mb << 20), "--perms", "1777", "--tmpfs", path]
    command.argv += ["--remount-ro", "/dev", "--chdir", "/box", "--remount-ro", "/"]
    command.argv += ["--seccomp", command.attach(build_filter(counted=counted))]
    command.argv += ["--info-fd", str(info_fd), "--block-fd", str(block_fd), "--"]
    command.argv += [interpreter(), *FLAGS, f"/driver/{PACKAGE}/launcher.pyc"]
    return command


def exposed(folder: Path) -> Command:
    """Return a command without any isolation: only for programs that somebody trusts."""
    _unpack(folder)
    return Command([interpreter(), *FLAGS, str(folder / PACKAGE / "launcher.pyc")])


def confined(folder: Path) -> Command:
    """Return a command that confines itself by landlock and seccomp, without namespaces."""
    _unpack(folder)
    command = Command([interpreter(), *FLAGS, "-c", CONFINE])
    command.argv.append(command.attach(build_filter(shared=True)))
    return command


def _unpack(folder: Path) -> None:
    (folder / "box").mkdir()
    (folder / PACKAGE).mkdir(parents=True)
    for name, content in (driver() | driver(("calls", "confine"))).items():
        (folder / name).write_bytes(content)
