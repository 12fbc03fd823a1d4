"""status: how far a run is, read from its files, also while it runs elsewhere."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from gristmill.commands.again import typed
from gristmill.commands.bar import worded
from gristmill.commands.finding import LOCK, ended, find_run, ledger_of
from gristmill.commands.rows import left_out
from gristmill.commands.screen import Screen, aligned
from gristmill.engines.progress import PROGRESS, Progress
from gristmill.storage.ledger import label_of
from gristmill.text.plurals import counted

COUNTS = ("in", "entered_ok", "rejected", "failed", "made", "rejected_children", "kept")
ENGINE_HEADS = ("engine", "made", "replayed", "waiting", "tokens/s", "busy_rate", "hit_rate")
HELD, OTHERS = "a run holds the workspace", "another run holds the workspace"


@dataclass(frozen=True)
class Seen:
    """What the files of a run say at one moment."""

    run: Path
    state: str
    given: Mapping[str, Any]
    """What the ledger says about the seeds."""
    stages: list[dict[str, Any]]
    now: Progress | None
    """The last look at a run that has not ended, however it stopped."""

    @property
    def is_live(self) -> bool:
        """Whether a process still works in its workspace."""
        return HELD in self.state


def seen(run: Path, workspace: Path) -> Seen:
    """Read a run's files."""
    note = ledger_of(run)
    state = ended(note) if note else alive(run, workspace)
    given = (note or {}).get("input") or {}
    return Seen(run, state, given, note["stages"] if note else so_far(run), _under_way(run))


def do_status(args: argparse.Namespace, screen: Screen) -> int:
    """Show how far a run is, and its ledger so far; with `--watch` until nothing runs any more.

    Without a run: all runs of the workspace, or the last one to watch.
    """
    if args.run is None and not args.watch:
        from gristmill.commands.history import tell_runs

        tell_runs(args, screen)
        return 0
    run = find_run(args.run or "last", args.workspace)
    if args.watch:
        from gristmill.commands.watch import watch

        watch(run, args.workspace, screen)
    at = seen(run, args.workspace)
    if args.json:
        seeds = {name: at.given[name] for name in ("rows", "malformed") if name in at.given}
        known = {"run_dir": str(run), "state": at.state, "seeds": seeds, "stages": at.stages}
        screen.result({**known, "progress": at.now and asdict(at.now)})
        return 0
    screen.line(f"{run}: {at.state}")
    if at.now:
        screen.line(f"{'now' if at.is_live else 'last seen at':8} {_look(at.now)}")
        for text in engine_lines(at.now, None) if at.is_live else ():
            screen.line(text)
    for told in left_out(run, at.given):
        screen.line(told)
    for text in _ledger(at.stages):
        screen.line(text)
    if not at.state.startswith("finished") and not at.is_live:
        screen.hint(f"next: {typed('run', *_where(args), run / LOCK)} goes on with it")
    return 0


def _ledger(stages: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of the ledger so far; none before the first shard."""
    if stages:
        rows = [[line["stage"], *(line[n] for n in COUNTS)] for line in stages]
        yield from aligned(["stage", *COUNTS], rows)
    for line in stages:
        for code, n in sorted(line["codes"].items(), key=lambda item: -item[1]):
            yield f"  {n:8,} rejected by {line['stage']}: {code}"


def _where(args: argparse.Namespace) -> list[str]:
    return [] if args.workspace == Path() else ["--workspace", str(args.workspace)]


def alive(run: Path, workspace: Path) -> str:
    """Return the state of a run without a ledger; who holds the lock has written its run there."""
    from gristmill.storage.shards import is_held

    held = workspace / ".gristmill" / "lock"
    if not is_held(held):
        return "not finished; nothing runs here"
    whose = held.read_text(encoding="utf-8").strip() or str(run.absolute())
    return f"not finished; {HELD if Path(whose) == run.absolute() else OTHERS}"


def _under_way(run: Path) -> Progress | None:
    try:
        return Progress(**json.loads((run / PROGRESS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _look(now: Progress) -> str:
    rows = now.rows_done / now.unit_s if now.unit_s else 0.0
    left = (now.rows_total - now.rows_done) / rows if rows else None
    tokens = now.tokens / now.wall_s if now.wall_s else 0.0
    done = f"{now.rows_done:,} of {counted(now.rows_total)}"
    return f"{now.unit}, wave {now.wave}: {done}, {worded(now, (rows, tokens, left))}"


def engine_lines(now: Progress, before: Progress | None) -> Iterator[str]:
    """Yield a table of what the engines do, since an earlier look or since the run began."""
    passed = now.wall_s - (before.wall_s if before else 0.0)
    if not now.engines or passed <= 0:
        return
    rows = []
    for role, told in now.engines.items():
        then = before.engines.get(role, {}) if before else {}
        tokens, busy = (told[name] - then.get(name, 0) for name in ("tokens", "busy_s"))
        rates = [f"{tokens / passed:,.0f}", f"{min(1.0, busy / passed):.2f}", _hits(told)]
        rows.append([role, *(int(told[name]) for name in ("made", "replayed", "waiting")), *rates])
    yield from aligned(ENGINE_HEADS, rows)


def _hits(told: Mapping[str, float]) -> str:
    asked = told.get("vllm:prefix_cache_queries")
    return f"{told['vllm:prefix_cache_hits'] / asked:.2f}" if asked else "-"


def so_far(run: Path) -> list[dict[str, Any]]:
    """Add up the footers of the finished shards, in the order of the recipe's stages."""
    total: dict[str, Counter[str]] = {}
    places = dict[str, tuple[bool, int]]()
    for folder in (run / "shards").glob("*"):
        is_after = folder.name.startswith(("target", "select"))
        order = _order(run / LOCK, (run / LOCK).stat().st_mtime_ns)
        for path in _counted(
            sorted(folder.glob("*.parquet"), key=lambda path: path.stat().st_size)
        ):
            for label, numbers in _counts(path, path.stat().st_mtime_ns).items():
                total.setdefault(label, Counter()).update(numbers)
                places[label] = (is_after, order.get(label, -1))  # only `target` is no stage
    return [
        {
            "stage": label,
            **{name: numbers[name] for name in COUNTS},
            "codes": {k[5:]: n for k, n in numbers.items() if k.startswith("code:")},
        }
        for label, numbers in sorted(total.items(), key=lambda item: places[item[0]])
    ]


@lru_cache(maxsize=256)
def _order(locked: Path, _changed: int) -> dict[str, int]:
    """Return the place of every stage by its label."""
    from gristmill.formats.recipe_files import read_recipe

    stages = read_recipe(locked)[1]["stages"]
    return {label_of(entry): i for i, entry in enumerate(stages)}


def _counted(files: list[Path]) -> list[Path]:
    """Return the files of a unit to count: a table stage wrote all rows again for every wave."""
    if len(files) < 2:
        return files
    small, large = (_ids(files[i], files[i].stat().st_mtime_ns) for i in (0, -1))
    return files if small.isdisjoint(large) else files[-1:]


@cache
def _counts(path: Path, _changed: int) -> dict[str, dict[str, int]]:
    """Return what the footer of a shard counts; read once, however often a run is looked at."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return dict(json.loads(pq.read_metadata(path).metadata[b"gristmill"])["counts"])
    except (pa.ArrowException, OSError, KeyError, ValueError):
        return {}  # damaged: the run works it again


@lru_cache(maxsize=256)
def _ids(path: Path, _changed: int) -> frozenset[str]:
    import pyarrow.parquet as pq

    return frozenset(pq.read_table(path, columns=["id"])["id"].to_pylist())
