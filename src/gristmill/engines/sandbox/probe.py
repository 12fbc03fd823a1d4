"""Before the first program: run a harmless one that tries what isolation must prevent."""

from __future__ import annotations

import json
from functools import cache

from gristmill.engines.sandbox.judge import judge
from gristmill.engines.sandbox.process import Limits, Outcome, execute
from gristmill.engines.sandbox.program import Program

TRIES = """
import ctypes, errno, os, socket

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

def trace():
    if ctypes.CDLL(None, use_errno=True).ptrace(0, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "")

found = {
    "write /etc": attempt(lambda: open("/etc/probe", "w")),
    "write /usr": attempt(lambda: open("/usr/probe", "w")),
    "write /proc/sys": attempt(lambda: open("/proc/sys/vm/swappiness", "r+")),
    "127.0.0.1": attempt(lambda: connect(("127.0.0.1", 80))),
    "169.254.169.254": attempt(lambda: connect(("169.254.169.254", 80))),
    "ptrace": attempt(trace),
    "fill": [attempt(lambda i=i: fill(f"/tmp/{i}")) for i in range(4)][-1],
    "home": attempt(lambda: os.listdir("/home")),
    "root": attempt(lambda: open("/etc/shadow")),
    "filter": status("Seccomp"),
    "privileges": status("NoNewPrivs"),
    "capabilities": status("CapEff").strip("0"),
    "processes": sum(name.isdigit() for name in os.listdir("/proc")),
    "environment": sorted(os.environ),
}
"""
WANTED = {
    "write /etc": ("EROFS", "ENOENT", "EACCES"),
    "write /usr": ("EROFS", "EACCES"),
    "write /proc/sys": ("EROFS", "EACCES", "EPERM", "ENOENT"),
    "127.0.0.1": ("EACCES",),
    "169.254.169.254": ("EACCES",),
    "ptrace": ("EPERM",),
    "fill": ("ENOSPC",),
    "home": ("ENOENT",),
    "root": ("ENOENT",),
    "filter": ("2",),
    "privileges": ("1",),
    "capabilities": ("",),
}
ALLOWED = {
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE",
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PWD", "LC_CTYPE",
}  # fmt: skip


@cache
def probe() -> tuple[str, ...]:
    """Return what does not hold here, one sentence each; empty when everything does."""
    code = f"{TRIES}\nimport json\nprint(json.dumps(found))"
    verdict = judge(Program(code, timeout_s=10, memory_mb=256), _execute)
    if verdict.status == "infra_error":
        return (f"bubblewrap does not start: {verdict.detail.strip()}",)
    try:
        found = json.loads(verdict.stdout)
    except ValueError:
        return (f"the probe did not finish: {verdict.status} {verdict.detail} {verdict.stderr}",)
    failures = [
        f"{name}: expected {' or '.join(wanted)}, found {found[name]}"
        for name, wanted in WANTED.items()
        if found[name] not in wanted
    ]
    if found["processes"] > 4:
        failures.append(f"{found['processes']} processes are visible")
    if extra := set(found["environment"]) - ALLOWED:
        failures.append(f"the environment leaks {sorted(extra)}")
    return (*failures, *_limits())


def _limits() -> list[str]:
    """Check the limits that are kept from outside."""
    failures = []
    balloon = Program("kept = []\nwhile True: kept.append(bytearray(1 << 20))", memory_mb=64)
    verdict = judge(balloon, _execute)
    if verdict.status != "oom" and "MemoryError" not in verdict.detail:
        failures.append(f"memory is not limited: {verdict.status} {verdict.detail}")
    sleeper = "import os, time\nif os.fork(): time.sleep(60)\nos.setsid()\ntime.sleep(60)"
    verdict = judge(Program(sleeper, timeout_s=0.3), _execute)
    if verdict.status != "timeout" or verdict.wall_ms > 2300:
        failures.append(f"time is not limited: {verdict.status} after {verdict.wall_ms} ms")
    return failures


def _execute(job: bytes, stdin: bytes, limits: Limits) -> Outcome:
    return execute(job, stdin, limits, None)
