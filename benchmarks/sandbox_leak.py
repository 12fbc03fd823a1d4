"""What ten thousand runs leave behind: nothing.

Claim: descriptors, processes, zombies, mounts, control groups and files are after the
runs what they were before; the memory of a warm interpreter and our own stay within a tenth.
Each program leaves a daemon, a child that nobody waits for, files and shared memory behind. The
baseline is the state after the first runs, when everything has been started once.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from telling import machine, tell

from gristmill.engines.sandbox import Program, Sandbox

LITTER = """
import os, tempfile, time
def f(x):
    if not os.fork():
        os.setsid()
        os._exit(0) if x % 2 else time.sleep(60)
    tempfile.mkstemp(prefix="litter-")
    open(f"/dev/shm/litter-{x}", "w").write("x" * 10000)
    return x
"""
WARM_UP, STEP, GROWTH = 200, 1000, 0.1
SCRATCH = (tempfile.gettempdir(), "/dev/shm")
SETTLED_S = 5.0
"""How long the last run's processes may take to go."""


def programs(start: int, n: int) -> list[Program]:
    """Return programs of one run each."""
    return [Program(LITTER, calls=(f"f({i})",)) for i in range(start, start + n)]


def interpreters(sandbox: Sandbox) -> list[psutil.Process]:
    """Return the inner process of every warm interpreter; bubblewrap has none."""
    assert sandbox._state
    held = [getattr(slot, "zygote", None) for slot in sandbox._state.made.all]
    return [psutil.Process(each.process.pid).children()[0] for each in held if each]


def counts(sandbox: Sandbox) -> dict[str, int]:
    """Count what may not grow."""
    me = psutil.Process()
    family = [me, *me.children(recursive=True)]
    warm = interpreters(sandbox)
    groups = Path("/sys/fs/cgroup").glob(f"**/gristmill-{me.pid}-*")
    return {
        "our descriptors": me.num_fds(),
        "our threads": me.num_threads(),
        "processes": len(family),
        "zombies": sum(process.status() == psutil.STATUS_ZOMBIE for process in family),
        "our mounts": lines(me.pid),
        "files": sum(len(list(Path(folder).glob("litter-*"))) for folder in SCRATCH),
        "control groups": len(list(groups)),
        "interpreters' descriptors": sum(process.num_fds() for process in warm),
        "interpreters' mounts": sum(lines(process.pid) for process in warm),
    }


def lines(pid: int) -> int:
    """Count the mounts that a process sees."""
    return len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines())


def memory_mb(sandbox: Sandbox) -> dict[str, float]:
    """Return resident memory in MB: ours, and that of the biggest warm interpreter."""
    warm = [process.memory_info().rss for process in interpreters(sandbox)]
    return {
        "our memory": psutil.Process().memory_info().rss / 1e6,
        "an interpreter's memory": max(warm, default=0) / 1e6,
    }


def settled(sandbox: Sandbox, before: dict[str, int]) -> dict[str, int]:
    """Count again until nothing differs, or the last run had time enough to go."""
    deadline = time.monotonic() + SETTLED_S
    while (found := counts(sandbox)) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def steps(sandbox: Sandbox, n: int) -> Iterator[int]:
    """Run programs; yield how many there were after each thousand."""
    for start in range(0, n, STEP):
        work = programs(start, min(STEP, n - start))
        wrong = [told for told in sandbox.run_all(work) if told.status != "pass"]
        if wrong:
            raise RuntimeError(f"{len(wrong)} programs did not pass, the first: {wrong[0]}")
        yield start + len(work)


def measure(n: int, workers: int, backend: Any) -> dict[str, Any]:
    """Compare the state before with the one after."""
    with Sandbox(workers, backend=backend) as sandbox:
        profile = sandbox.run_all(programs(0, WARM_UP))[0].profile
        before, memory = settled(sandbox, {}), memory_mb(sandbox)
        started = time.monotonic()
        most = dict(memory)
        for done in steps(sandbox, n):
            now = memory_mb(sandbox)
            most = {name: max(most[name], now[name]) for name in most}
            shown = ", ".join(f"{name} {value:.1f} MB" for name, value in now.items())
            print(f"{done} runs, {done / (time.monotonic() - started):.1f} per s, {shown}")
        after = settled(sandbox, before)
    growth = {name: most[name] / memory[name] - 1 for name in most if memory[name]}
    leaked = {name: after[name] - before[name] for name in before if after[name] != before[name]}
    return {
        "profile": profile,
        "runs": n,
        "workers": workers,
        "before": before,
        "leaked": leaked,
        "memory_mb": memory,
        "growth": growth,
        "ratio": 1 + max(growth.values()),
        "limit": 1 + GROWTH,
        "is_flat": not leaked and max(growth.values()) <= GROWTH,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="1,000 runs instead of 10,000")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--backend", choices=("zygote", "bubblewrap"), default="zygote")
    args = parser.parse_args()
    print(machine("psutil"))
    told = measure(1000 if args.quick else 10_000, args.workers, args.backend)
    tell({"name": "sandbox_leak", **told}, as_json=args.json)
    sys.exit(not told["is_flat"])


if __name__ == "__main__":
    main()
