"""Where torch works in this process: on which device, how precisely, and in which threads.

On a CPU several lanes run whole batches side by side, each with one thread of its own. Small
models gain nothing from many threads per batch, and on a busy machine threads that wait for each
other lose most of their time: two lanes of one thread gave 5,600 to 6,900 tokens per CPU second
for a Llama of 3 million parameters where one lane of two threads did not finish in ten times that.
Batches of 1,024 tokens stay near the cache: 7,000 tokens per CPU second, against 5,800 at 4,096,
and 2,500 against 1,900 for MiniLM.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

Device = Literal["cpu", "cuda"]
Precision = Literal["float32", "bfloat16", "float16"]


def cores() -> int:
    """Return how many cores this process may use by its affinity; macOS knows none."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def available_cpus() -> int:
    """Return how many cores this process may use: its affinity, and the quota of its container."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        allowed = int(quota) / int(period)
    except (OSError, ValueError):
        allowed = float("inf")  # no cgroup v2, or "max": no quota
    return max(1, int(min(cores(), allowed)))


@cache
def lanes() -> ThreadPoolExecutor:
    """Return the threads in which every model of this process runs."""

    def one_thread() -> None:
        import torch

        torch.set_num_threads(1)

    count = available_cpus() if find_device() == "cpu" else 1
    return ThreadPoolExecutor(count, "model", initializer=one_thread)


def quiet_loading() -> None:
    """Let no progress bar of a library into our own output."""
    from transformers.utils import logging

    logging.disable_progress_bar()


@cache
def find_device() -> Device:
    """Return where models run, without importing torch."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    has_gpu = Path("/dev/nvidiactl").exists() and not hidden
    return "cuda" if has_gpu and "+cpu" not in package_version("torch") else "cpu"


@cache
def multiplies_bfloat16() -> bool:
    """Say whether this CPU has instructions for bfloat16; without them it is many times slower."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


@cache
def package_version(name: str) -> str:
    """Return the installed version of a package, "" when there is none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
