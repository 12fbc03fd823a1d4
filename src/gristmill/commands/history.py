"""status without a run, store and runs: what a workspace has kept, and what may go."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gristmill.commands.again import again, typed
from gristmill.commands.finding import ended, find_run, ledger_of, runs
from gristmill.commands.screen import Screen
from gristmill.commands.status import alive
from gristmill.errors import InputError, RunLocked
from gristmill.text.plurals import counted


def tell_runs(args: argparse.Namespace, screen: Screen) -> None:
    """Show every run of a workspace, the newest first."""
    found = [_line(run, args.workspace) for run in runs(args.workspace)]
    if args.json:
        screen.result({"runs": found})
        return
    if not found:
        screen.line(f"no runs in {args.workspace / 'runs'}")
        return
    cells = ("name", "state", "rows", "wall_s", "tokens", "size_bytes")
    heads = ["run", "state", "rows", "wall, s", "tokens made", "MB"]
    screen.table(heads, [_cells([line[name] for name in cells]) for line in found])


def _cells(values: list[Any]) -> list[Any]:
    return [*values[:3], f"{values[3]:,.1f}", values[4], f"{values[5] / 1e6:,.1f}"]


def _line(run: Path, workspace: Path) -> dict[str, Any]:
    from gristmill.publishing.housekeeping import size_of

    try:
        note = ledger_of(run)
        state = ended(note) if note else alive(run, workspace)
    except InputError:
        note, state = None, "damaged: run its recipe again"
    bills = [json.loads(file.read_text()) for file in sorted((run / "costs").glob("*.json"))]
    return {
        "name": run.name,
        "state": state,
        "rows": note["stages"][-1]["kept"] if note and note["dataset"] else None,
        "wall_s": sum(bill["wall_s"] for bill in bills) or (note["wall_s"] if note else 0.0),
        "tokens": sum(bill["tokens"] for bill in bills),
        "size_bytes": size_of(run),
        "path": str(run),
    }


@contextmanager
def _holding(workspace: Path, what: str) -> Iterator[None]:
    """Keep runs out meanwhile; a workspace that is none is not made one."""
    from gristmill.storage.shards import lock

    if not (workspace / ".gristmill").is_dir():
        raise InputError(f"{workspace} has no .gristmill: nothing was run here; see --workspace")
    try:
        handle = lock(workspace / ".gristmill" / "lock")
    except RunLocked as error:
        raise RunLocked(
            f"a run holds {workspace / '.gristmill'}: {what} waits until it has ended; "
            "`build-dataset status` shows how far it is"
        ) from error
    with handle:
        yield


def do_store(args: argparse.Namespace, screen: Screen) -> int:
    """Say what the answers take, or remove those that no run needs."""
    from gristmill.publishing import housekeeping

    kept = runs(args.workspace)
    if args.action == "size":
        told = {**asdict(housekeeping.sizes(args.workspace, kept)), **_others(args.workspace)}
    else:
        with _holding(args.workspace, "store prune"):
            told = asdict(housekeeping.prune(args.workspace, kept))
    if args.json:
        screen.result(told)
        return 0
    free = f"{counted(told['free'], 'answer')}, {told['free_bytes'] / 1e6:,.1f} MB"
    if args.action == "prune":
        screen.line(f"removed {free}; {told['answers'] - told['free']:,} are needed by runs")
        return 0
    size = f"{told['size_bytes'] / 1e6:,.1f} MB; {told['file_bytes'] / 1e6:,.1f} MB on disk"
    screen.line(f"{counted(told['answers'], 'answer')}, {size}")
    screen.line(f"{free} of them are needed by no run")
    for name in (*housekeeping.SPARE, "models"):
        screen.line(f"{name:9} {told[name] / 1e6:,.1f} MB")
    if told["free"]:
        screen.hint(f"next: {typed('store', 'prune', *_where(args.workspace))} removes them")
    return 0


def _where(workspace: Path) -> list[str]:
    return [] if workspace == Path() else ["--workspace", str(workspace)]


def _others(workspace: Path) -> dict[str, int]:
    from gristmill.publishing.housekeeping import SPARE, size_of

    return {name: size_of(workspace / ".gristmill" / name) for name in (*SPARE, "models")}


def do_runs(args: argparse.Namespace, screen: Screen) -> int:
    """List what a clean-up would remove, and remove it when that was confirmed."""
    with _holding(args.workspace, "runs remove"):
        return _clean(args, screen)


def _clean(args: argparse.Namespace, screen: Screen) -> int:
    from gristmill.formats.marks import read
    from gristmill.publishing import housekeeping

    known = runs(args.workspace)
    going = list(dict.fromkeys(_one(name, known, args.workspace) for name in args.names))
    if args.keep is not None:
        named = [run.absolute() for run in going]
        going += [run for run in known[args.keep :] if run.absolute() not in named]
    kept = [run for run in known if run.absolute() not in [gone.absolute() for gone in going]]
    _check_own(going, args.workspace)
    _check_read(going, kept)
    going += housekeeping.spare(args.workspace) if args.previews else []
    going += housekeeping.free_models(args.workspace, kept) if args.models else []
    sizes = {str(path): housekeeping.size_of(path) for path in going}
    marks = {str(path): len(read(path).by_id) for path in going}
    if args.yes:
        housekeeping.remove(going)
    if args.json:
        told = [{"path": path, "size_bytes": n, "marks": marks[path]} for path, n in sizes.items()]
        screen.result({"removed" if args.yes else "would_remove": told})
        return 0
    what = "removed" if args.yes else "would remove"
    for path, n in sizes.items():
        by_hand = f", with {counted(marks[path])} marked by hand" if marks[path] else ""
        screen.line(f"{what} {path}  {n / 1e6:,.1f} MB{by_hand}")
    screen.line(f"{what} {counted(len(sizes), 'folder')}, {sum(sizes.values()) / 1e6:,.1f} MB")
    if sizes and args.yes:
        screen.hint(f"next: {typed('store', 'prune', *_where(args.workspace))} (their answers)")
    elif sizes:
        screen.hint(f"next: {again(args, 'runs')} --yes")
    return 0


def _one(name: str, known: Sequence[Path], workspace: Path) -> Path:
    """Return the run that is meant; what is removed must not be a guess."""
    meant = [run.name for run in known if run.name.startswith(name)]
    if len(meant) > 1 and name not in meant:
        raise InputError(f"'{name}' may be any of {meant}; name one of them")
    return find_run(name, workspace)


def _check_own(going: Sequence[Path], workspace: Path) -> None:
    """Refuse runs that the lock of this workspace does not keep still."""
    for run in going:
        if run.absolute().parent != (workspace / "runs").absolute():
            raise InputError(
                f"{run} belongs to another workspace than {workspace.absolute()}; add --workspace "
                f"{run.parent.parent}"
            )


def _check_read(going: Sequence[Path], kept: Sequence[Path]) -> None:
    from gristmill.publishing.housekeeping import readers_of

    for run in going:
        if names := readers_of(run, kept):
            raise InputError(
                f"{run} is read by the recipe of {', '.join(names[:5])}, which could not run "
                "again; remove that too, or keep this one"
            )
