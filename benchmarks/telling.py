"""How benchmarks end: the machine, a line per figure, and with --json one object at the end."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any


def machine(*packages: str) -> str:
    """Return the machine, its load, and the versions that a figure depends on."""
    names = [f"{name} {version(name)}" for name in packages]
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    parts = [platform.machine(), f"{cores} cores", f"load {load:.1f}"]
    return ", ".join([*parts, f"Python {platform.python_version()}", *names])


def tell(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Print every figure."""
    width = max(map(len, result))
    for name, value in result.items():
        sys.stdout.write(f"{name:{width}} {value}\n")
    if as_json:
        sys.stdout.write(json.dumps(result) + "\n")
