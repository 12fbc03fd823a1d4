"""status: how far a run is, read from its files, also while it runs elsewhere."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gristmill.commands.again import typed
from gristmill.commands.bar import worded
from gristmill.commands.finding import LOCK, ended, find_run, ledger_of
from gristmill.commands.rows import left_out
from gristmill.commands.screen import Screen
from gristmill.engines.progress import PROGRESS, Progress

COUNTS = ("in", "entered_ok", "rejected", "failed", "made", "rejected_children", "kept")
HELD = "a run holds the workspace"


def do_status(args: argparse.Namespace, screen: Screen) -> int:
    """Show how far a run is, and its ledger so far."""
    run = find_run(args.run, args.workspace)
    note = ledger_of(run)
    lines = note["stages"] if note else _so_far(run)
    given = (note or {}).get("input") or {}
    seeds = {name: given[name] for name in ("rows", "malformed") if name in given}
    state = ended(note) if note else _alive(args.workspace)
    now = _under_way(run)
    if args.json:
        known = {"run_dir": str(run), "state": state, "seeds": seeds, "stages": lines}
        screen.result({**known, "progress": now and asdict(now)})
        return 0
    screen.line(f"{run}: {state}")
    if now:
        screen.line(f"{'now' if HELD in state else 'last seen at':8} {_look(now)}")
    for told in left_out(run, given):
        screen.line(told)
    screen.table(
        ["stage", *COUNTS], [[line["stage"], *(line[n] for n in COUNTS)] for line in lines]
    )
    for line in lines:
        for code, n in sorted(line["codes"].items(), key=lambda item: -item[1]):
            screen.line(f"  {n:8,} rejected by {line['stage']}: {code}")
    if not state.startswith("finished") and HELD not in state:
        screen.hint(f"next: {typed('run', *_where(args), run / LOCK)} goes on with it")
    return 0


def _where(args: argparse.Namespace) -> list[str]:
    return [] if args.workspace == Path() else ["--workspace", str(args.workspace)]


def _alive(workspace: Path) -> str:
    from gristmill.storage.shards import is_held

    held = is_held(workspace / ".gristmill" / "lock")
    return f"not finished; {HELD if held else 'nothing runs here'}"


def _under_way(run: Path) -> Progress | None:
    """Return the last look at a run that has not ended, however it stopped."""
    try:
        return Progress(**json.loads((run / PROGRESS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _look(now: Progress) -> str:
    rows = now.rows_done / now.unit_s if now.unit_s else 0.0
    left = (now.rows_total - now.rows_done) / rows if rows else None
    tokens = now.tokens / now.wall_s if now.wall_s else 0.0
    done = f"{now.rows_done:,} of {now.rows_total:,} rows"
    return f"{now.unit}, wave {now.wave}: {done}, {worded(now, (rows, tokens, left))}"


def _so_far(run: Path) -> list[dict[str, Any]]:
    """Add up the footers of the finished shards."""
    import pyarrow.parquet as pq

    total: dict[str, Counter[str]] = {}
    for folder in sorted((run / "shards").glob("*")):
        for path in _counted(
            sorted(folder.glob("*.parquet"), key=lambda path: path.stat().st_size)
        ):
            counts = json.loads(pq.read_metadata(path).metadata[b"gristmill"])["counts"]
            for label, numbers in counts.items():
                total.setdefault(label, Counter()).update(numbers)
    return [
        {
            "stage": label,
            **{name: numbers[name] for name in COUNTS},
            "codes": {k[5:]: n for k, n in numbers.items() if k.startswith("code:")},
        }
        for label, numbers in total.items()
    ]


def _counted(files: list[Path]) -> list[Path]:
    """Return the files of a unit to count: a table stage wrote all rows again for every wave."""
    import pyarrow.parquet as pq

    if len(files) < 2:
        return files
    small, large = (pq.read_table(files[i], columns=["id"])["id"].to_pylist() for i in (0, -1))
    return files if set(small).isdisjoint(large) else files[-1:]
