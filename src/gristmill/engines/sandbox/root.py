"""Inside the sandbox: the file system that every run of a warm interpreter sees.

Read-only folders of the machine, five devices, two files in /etc, nothing else.
"""

import posix

from gristmill.engines.sandbox import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEVICES = ("null", "zero", "full", "random", "urandom")
LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
BASE = "/tmp"
"""Where the new root is put together; what was there stays visible to nobody inside."""


def build_root(config: "dict[str, Any]") -> bool:
    """Put together what every run sees, read-only, and enter it; say whether /proc is there."""
    fds = {target: posix.open(source, posix.O_PATH) for source, target in config["binds"]}
    devices = {f"/dev/{name}": posix.open(f"/dev/{name}", posix.O_PATH) for name in DEVICES}
    calls.mount("none", "/", "", calls.RECURSIVE | calls.PRIVATE)
    calls.mount("tmpfs", BASE, "tmpfs", calls.NOSUID | calls.NODEV, "mode=755,size=4m")
    make_folder(BASE + "/dev")
    for target, fd in (fds | devices).items():
        bind(fd, BASE + target)
    for name, target in LINKS.items():
        posix.symlink(target, f"{BASE}/dev/{name}")
    for name, target in config["links"]:
        posix.symlink(target, BASE + name)
    make_folder(BASE + "/etc")
    for path, text in config["files"]:
        write(BASE + path, text)
    for path in ("/proc", *config["scratch"]):
        make_folder(BASE + path)
    has_proc = mount_proc(BASE + "/proc")
    calls.enter_root(BASE)
    # Device nodes work on their own mounts only, so nodev may not cover those.
    calls.attributes("/", calls.RDONLY | calls.NOSUID)
    return has_proc


def bind(fd: int, target: str) -> None:
    """Show an open file or folder at another path."""
    source = f"/proc/self/fd/{fd}"
    if posix.stat(source).st_mode & 0o170000 == 0o040000:
        make_folder(target)
    else:
        make_folder(target.rpartition("/")[0])
        write(target, "")
    calls.mount(source, target, "", calls.BIND | calls.RECURSIVE)
    posix.close(fd)


def make_folder(path: str) -> None:
    """Make a folder and those above it."""
    parts = path.strip("/").split("/")
    for i in range(len(parts)):
        try:
            posix.mkdir("/" + "/".join(parts[: i + 1]), 0o755)
        except FileExistsError:
            continue


def mounting_proc(target: str) -> "calls.Step":
    """Return the call that mounts /proc, read-only."""
    flags = calls.RDONLY | calls.NOSUID | calls.NODEV | calls.NOEXEC
    return calls.mounting("proc", target, "proc", flags)


def mount_proc(target: str) -> bool:
    """Mount /proc; a machine that masks parts of its own refuses that."""
    try:
        calls.perform([mounting_proc(target)])
    except PermissionError:
        return False
    return True


def write(path: str, text: str) -> None:
    """Write a file in one call."""
    fd = posix.open(path, posix.O_WRONLY | posix.O_CREAT | posix.O_CLOEXEC, 0o444)
    try:
        posix.write(fd, text.encode())
    finally:
        posix.close(fd)
