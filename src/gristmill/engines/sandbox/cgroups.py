"""Limits for a whole tree of processes: a control group where one may be made, else a watcher."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
NUMBERS = itertools.count()
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Group:
    """One control group, used by one run at a time; its folders are one (v2), two or three (v1)."""

    version: int
    memory: Path
    pids: Path
    cpu: Path | None = None
    """Where CPU time is counted, if it is."""
    limited: tuple[int, int] = (0, 0)
    """The limits that are set; zeros while that is not known."""
    events: int = -1
    """A descriptor of the file that counts what was killed, kept open: it is read often."""

    @property
    def folders(self) -> set[Path]:
        """Every folder that belongs to it."""
        return {folder for folder in (self.memory, self.pids, self.cpu) if folder}

    def limit(self, memory_mb: int, processes: int) -> None:
        """Set the limits of the next run, where they differ from the last one's."""
        if self.limited == (memory_mb, processes):
            return
        self.limited = (0, 0)  # a write may be refused half way: then nothing is known to be set
        size = str(memory_mb << 20)
        (self.pids / "pids.max").write_text(str(processes))
        if self.version == 2:
            (self.memory / "memory.max").write_text(size)
            with contextlib.suppress(OSError):
                (self.memory / "memory.swap.max").write_text("0")
                (self.memory / "memory.oom.group").write_text("1")
            self.limited = (memory_mb, processes)
            return
        plain, swap = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
        has_swap = (self.memory / swap).exists()
        # The limit with swap may never lie below the one without, so the order depends.
        grows = has_swap and int((self.memory / swap).read_text()) < memory_mb << 20
        names = [swap, plain] if grows else [plain, swap]
        for name in names if has_swap else [plain]:
            (self.memory / name).write_text(size)
        self.limited = (memory_mb, processes)

    def add(self, pid: int) -> None:
        """Move a process in; what it starts from now on stays in."""
        if pid <= 0:  # 0 would move this process itself
            raise ProcessLookupError(f"no process {pid} to put into a control group")
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def oom_kills(self) -> int:
        """Count the processes that the kernel killed here for want of memory, ever."""
        if self.events < 0:
            name = "memory.events" if self.version == 2 else "memory.oom_control"
            self.events = os.open(self.memory / name, os.O_RDONLY | os.O_CLOEXEC)
        for line in os.pread(self.events, 4096, 0).splitlines():
            key, _, value = line.partition(b" ")
            if key == b"oom_kill":
                return int(value)
        return 0

    def used_s(self) -> float | None:
        """Return the CPU time in seconds of all that ever ran here; None where nobody counts it."""
        if not self.cpu:
            return None
        if self.version == 1:
            return int((self.cpu / "cpuacct.usage").read_text()) / 1e9
        return int((self.cpu / "cpu.stat").read_text().split()[1]) / 1e6  # usage_usec comes first

    def kill(self) -> None:
        """Kill every process in it."""
        for _ in range(20):
            pids = (self.pids / "cgroup.procs").read_text().split()
            for pid in map(int, pids):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not pids:
                return
            time.sleep(0.005)

    def remove(self) -> None:
        """Delete the folders; processes that are still dying get a moment."""
        if self.events >= 0:
            os.close(self.events)
            self.events = -1
        for folder in self.folders:
            for _ in range(20):
                try:
                    folder.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.01)


def make_group() -> Group | None:
    """Make a control group below or beside our own; None where that is not allowed."""
    name = f"gristmill-{os.getpid()}-{next(NUMBERS)}"
    homes = _homes()
    if "memory" in homes and "pids" in homes:
        for cpu in (homes.get("cpuacct"), None):
            group = Group(1, homes["memory"] / name, homes["pids"] / name, cpu and cpu / name)
            if _usable(group):
                return group
        return None
    for home in (homes[""], homes[""].parent) if "" in homes else ():
        group = Group(2, home / name, home / name, home / name)
        if _usable(group):
            return group
    return None


def sweep() -> None:
    """Remove what processes that are gone left behind."""
    for home in {*_homes().values(), *(path.parent for path in _homes().values())}:
        for folder in home.glob("gristmill-*-*"):
            owner = folder.name.split("-")[1]
            if owner.isdigit() and not Path("/proc", owner).exists():
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _homes() -> dict[str, Path]:
    """Return the folder of our own group per controller; version 2 has the name ""."""
    homes = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, names, path = line.split(":", 2)
            for name in names.split(","):
                root = ROOT / name if name else ROOT
                homes[name] = root / path.lstrip("/")
    return {name: home for name, home in homes.items() if home.is_dir()}


def _usable(group: Group) -> bool:
    try:
        for folder in group.folders:
            folder.mkdir()
        group.limit(1024, 64)
        group.oom_kills()
        group.used_s()
    except OSError:
        group.remove()
        return False
    return True


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tree of processes uses right now."""

    processes: int
    memory_bytes: int
    cpu_s: float


def measure(root: int, most: int) -> Usage:
    """Sum over a process and its descendants; orphans hang under the sandbox's own init.

    It stops when it has seen more than `most`: a fork bomb may be faster than this loop.
    """
    waiting, memory, ticks, threads = [root], 0, 0, 0
    seen: set[int] = set()
    while waiting and threads <= most:
        pid = waiting.pop()
        if pid in seen:
            continue
        seen.add(pid)
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            memory += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except (OSError, IndexError):
            continue
        ticks += sum(map(int, fields[11:15]))
        threads += int(fields[17])
    return Usage(threads, memory * PAGE, ticks / TICKS_PER_S)


def waited_s(root: int, most: int) -> float:
    """Return how long the main threads of up to `most` processes were ready but got no CPU."""
    total, waiting = 0.0, [root]
    seen: set[int] = set()
    while waiting and len(seen) <= most:
        pid = waiting.pop()
        if pid in seen:
            continue
        seen.add(pid)
        with contextlib.suppress(OSError, IndexError):
            total += int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
            waiting += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return total
