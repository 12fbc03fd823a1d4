"""What benchmarks share: the machine, the data, a line per figure, and with --json one object."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any


def machine(*packages: str) -> str:
    """Return the machine, its load, and the versions that a figure depends on."""
    names = [f"{name} {version(name)}" for name in packages]
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    parts = [platform.machine(), f"{cores} cores", f"load {load:.1f}"]
    return ", ".join([*parts, f"Python {platform.python_version()}", *names])


def data_folder() -> Path:
    """Return the folder of real rows; ends the benchmark with what to do when none is named."""
    folder = os.environ.get("GRISTMILL_DATA", "")
    if not Path(folder or "?").is_dir():
        sys.exit(f"GRISTMILL_DATA must name the folder of the data, but is {folder or 'not set'!r}")
    return Path(folder).absolute()


def tell(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Print every figure."""
    width = max(map(len, result))
    for name, value in result.items():
        sys.stdout.write(f"{name:{width}} {value}\n")
    if as_json:
        sys.stdout.write(json.dumps(result) + "\n")
