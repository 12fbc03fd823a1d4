"""Before the first program: harmless ones that try what isolation must prevent.

Fourteen probes for whichever back end is to be used. A mandatory one that does not hold refuses
every program; the others are told, and say which limit is kept in a weaker way.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gristmill.engines.sandbox.judge import Execute, judge
from gristmill.engines.sandbox.program import Program

TRIES = """
import ctypes, errno, os, resource, socket, threading

def attempt(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno, "other")
    return "worked"

def connect(address):
    with socket.socket() as s:
        s.settimeout(0.2)
        s.connect(address)

def status(name):
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith(name + ":"))

def fill(path):
    with open(path, "wb") as file:
        for _ in range(15):
            file.write(bytes(1 << 20))

def make_files():
    for i in range(5000):
        os.close(os.open(f"/tmp/file{i}", os.O_CREAT))

libc = ctypes.CDLL(None, use_errno=True)
def call(function, *args):
    if function(*args) < 0:
        raise OSError(ctypes.get_errno(), "")

try:
    seen = {
        "filter": status("Seccomp"),
        "privileges": status("NoNewPrivs"),
        "capabilities": status("CapEff").strip("0"),
        "processes": sum(name.isdigit() for name in os.listdir("/proc")),
    }
except OSError:
    seen = {}
found = {
    **seen,
    "write /etc": attempt(lambda: open("/etc/probe", "w")),
    "write /usr": attempt(lambda: open("/usr/probe", "w")),
    "write /proc/sys": attempt(lambda: open("/proc/sys/vm/swappiness", "r+")),
    "127.0.0.1": attempt(lambda: connect(("127.0.0.1", 80))),
    "169.254.169.254": attempt(lambda: connect(("169.254.169.254", 80))),
    "ptrace": attempt(lambda: call(libc.ptrace, 0, 0, 0, 0)),
    "files": attempt(make_files),
    "home": attempt(lambda: os.listdir("/home")),
    "root": attempt(lambda: open("/etc/shadow")),
    "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
    "landlock": libc.syscall(444, None, 0, 1),
    "environment": sorted(os.environ),
}
for i in range(5000):
    try:
        os.unlink(f"/tmp/file{i}")
    except FileNotFoundError:
        break
found["fill"] = [attempt(lambda i=i: fill(f"/tmp/{i}")) for i in range(4)][-1]
"""
FORKS = """
import errno, os, time
made = 0
for _ in range(300):
    try:
        if not os.fork():
            time.sleep(5)
            os._exit(0)
    except OSError:
        break
    made += 1
print(made, flush=True)
os._exit(0)
"""
BALLOON = "kept = []\nwhile True: kept.append(bytearray(1 << 20))"
SLEEPER = "import os, time\nif os.fork(): time.sleep(60)\nos.setsid()\ntime.sleep(60)"
WANTED = {
    "write /etc": ("EROFS", "ENOENT", "EACCES"),
    "write /usr": ("EROFS", "EACCES"),
    "write /proc/sys": ("EROFS", "EACCES", "EPERM", "ENOENT"),
    "home": ("ENOENT", "EACCES"),
    "root": ("ENOENT", "EACCES"),
    "127.0.0.1": ("EACCES",),
    "169.254.169.254": ("EACCES",),
    "fill": ("ENOSPC",),
    "files": ("ENOSPC",),
    "ptrace": ("EPERM",),
    "filter": ("2",),
    "privileges": ("1",),
    "capabilities": ("",),
}
ALLOWED = {
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE",
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PWD", "LC_CTYPE", "TMPDIR",
}  # fmt: skip
FEW_PROCESSES = 4
NAMESPACES = (
    "allow user namespaces: sysctl user.max_user_namespaces above 0; on Ubuntu 24.04 an AppArmor "
    "profile; in Docker --security-opt seccomp=unconfined"
)
CGROUP = (
    "run as root, or delegate a control group with the memory and pids controllers "
    "(systemd-run --user --scope -p Delegate=yes); until then a watcher looks every 20 ms"
)


@dataclass(frozen=True, slots=True)
class Probe:
    """One promise of the isolation, tried."""

    name: str
    trouble: str
    """What does not hold, empty when all does."""
    fix: str
    mandatory: bool = True
    found: str = ""

    @property
    def holds(self) -> bool:
        """Whether it does what it promises."""
        return not self.trouble


def probe(execute: Execute, *, outside_root: bool) -> list[Probe]:
    """Try all fourteen on a back end; one that does not start fails the first and tells no more."""
    code = f"{TRIES}\nimport json\nprint(json.dumps(found))"
    verdict = judge(Program(code, timeout_s=10, memory_mb=256), execute)
    if verdict.status == "infra_error":
        return [Probe("user namespaces", verdict.detail.strip(), NAMESPACES)]
    try:
        found = json.loads(verdict.stdout)
    except ValueError:
        trouble = f"the probe did not finish: {verdict.status} {verdict.detail} {verdict.stderr}"
        return [Probe("user namespaces", trouble, NAMESPACES)]
    return [
        Probe("user namespaces", "", NAMESPACES),
        _kill_all(execute, found),
        _tried(found, "network", "use a kernel with network namespaces and seccomp",
               "127.0.0.1", "169.254.169.254"),
        _tried(found, "read-only root", "nothing may be mounted over /usr or /etc for writing",
               "write /etc", "write /usr", "write /proc/sys", "home", "root"),
        _tried(found, "size of scratch space", "use the zygote or bubblewrap back end",
               "fill", mandatory=False),
        _tried(found, "number of files", "use the zygote back end: bubblewrap sets no such limit",
               "files", mandatory=False),
        _memory(execute),
        *_processes(execute, outside_root=outside_root),
        _tried(found, "system calls", "use a kernel with seccomp filters (CONFIG_SECCOMP_FILTER)",
               "ptrace", "filter", "privileges", "capabilities"),
        _landlock(found),
        _proc(found),
        _core(found),
        _environment(found),
    ]  # fmt: skip


def failures(probes: list[Probe]) -> list[str]:
    """Return one sentence for each mandatory probe that does not hold, with its fix."""
    return [
        f"{probe.name}: {probe.trouble} ({probe.fix})"
        for probe in probes
        if probe.mandatory and not probe.holds
    ]


def _tried(
    found: dict[str, Any], name: str, fix: str, *tries: str, mandatory: bool = True
) -> Probe:
    wrong = [
        f"{each}: expected {' or '.join(WANTED[each])}, found {found[each]}"
        for each in tries
        if each in found and found[each] not in WANTED[each]
    ]
    return Probe(name, "; ".join(wrong), fix, mandatory)


def _kill_all(execute: Execute, found: dict[str, Any]) -> Probe:
    """Check that nothing survives the end of a run, and that the end comes in time."""
    verdict = judge(Program(SLEEPER, timeout_s=0.3), execute)
    trouble = ""
    if found.get("processes", 0) > FEW_PROCESSES:
        trouble = f"{found['processes']} processes are visible"
    if verdict.status != "timeout" or verdict.wall_ms > 2300:
        trouble = f"time is not limited: {verdict.status} after {verdict.wall_ms} ms"
    return Probe("end of all processes", trouble, NAMESPACES)


def _memory(execute: Execute) -> Probe:
    verdict = judge(Program(BALLOON, memory_mb=64), execute)
    holds = verdict.status == "oom" or "MemoryError" in verdict.detail
    found = f"{verdict.status} {verdict.detail}".strip()
    return Probe("memory limit", "" if holds else found, CGROUP, found=verdict.status)


def _processes(execute: Execute, *, outside_root: bool) -> list[Probe]:
    """Check the limit on processes, and whether the kernel's own limit per user counts too."""
    verdict = judge(Program(FORKS, timeout_s=10, memory_mb=256), execute)
    made = verdict.stdout.strip() or verdict.detail
    holds = verdict.detail.startswith("more processes") or (made.isdigit() and int(made) < 100)
    root = "the kernel does not enforce it for root" if outside_root else ""
    return [
        Probe("process limit", "" if holds else made, CGROUP, mandatory=False, found=made),
        Probe("process limit per user", root, "run as an ordinary user", mandatory=False),
    ]


def _landlock(found: dict[str, Any]) -> Probe:
    version = found["landlock"]
    trouble = "" if version > 0 else "not in this kernel"
    fix = "only the degraded back end needs it: a kernel with lsm=landlock"
    return Probe("landlock", trouble, fix, mandatory=False, found=f"ABI {version}")


def _proc(found: dict[str, Any]) -> Probe:
    trouble = "" if "processes" in found else "none: masked outside, or not in the view"
    fix = "unmask /proc of the outer container; programs run without it until then"
    return Probe("/proc of a run", trouble, fix, mandatory=False)


def _core(found: dict[str, Any]) -> Probe:
    trouble = "" if found["core"] in (0, 1) else f"limit of {found['core']} bytes"
    return Probe("core dumps", trouble, "lower the limit on core files: ulimit -Hc 0")


def _environment(found: dict[str, Any]) -> Probe:
    extra = sorted(set(found["environment"]) - ALLOWED)
    return Probe("clean environment", f"leaks {extra}" if extra else "", "report this as a bug")
