"""Run `build-dataset` and kill -9 its process group at the n-th event of a kind.

Usage: python tools/kill_child.py EVENT N BUILD_DATASET_ARGUMENT...

Nothing of gristmill is replaced: the interpreter's own profile hook watches function calls, and
its audit hook watches renames.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

WATCHED = {
    "answer_written": ("return", "answers.py", "_write"),
    "table_stage": ("call", "exact_duplicates.py", "decide"),
    "selector": ("return", "longest.py", "decide"),
    "export": ("call", "exports.py", "write_dataset"),
    "rename_done": ("return", "shards.py", "replacing"),
}
"""Event -> (profile event, file, function)."""


def main(event: str, n: int, arguments: list[str]) -> int:
    """Arm the hook, then be `build-dataset`."""
    seen = 0

    def count() -> None:
        nonlocal seen
        seen += 1
        if seen == n:
            os.killpg(0, signal.SIGKILL)

    if event == "rename":
        sys.addaudithook(lambda name, _: count() if name == "os.rename" else None)
    elif event != "none":
        kind, file, function = WATCHED[event]

        def watch(frame: Any, what: str, _: Any) -> None:
            code = frame.f_code
            if what == kind and code.co_name == function and code.co_filename.endswith(file):
                count()

        threading.setprofile(watch)
        sys.setprofile(watch)
    from gristmill.cli import main as build_dataset

    return int(build_dataset(arguments) or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
