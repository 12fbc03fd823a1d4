"""Runs by what a person calls them: a folder, a name, the first letters of one, or `last`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from gristmill.errors import InputError, RunLocked

LOCK = "recipe.lock.yaml"


def runs(workspace: Path) -> list[Path]:
    """Return the folders of all runs, the newest first."""
    found = [path.parent for path in (workspace / "runs").glob(f"*/{LOCK}")]
    return sorted(found, key=lambda path: (path / LOCK).stat().st_mtime, reverse=True)


def find_run(text: str, workspace: Path) -> Path:
    """Return the folder of one run."""
    path, known = Path(text), runs(workspace)
    if (path / LOCK).is_file():
        return path
    if path.is_dir():
        raise InputError(f"{path} is no run: it has no {LOCK}; see `build-dataset list runs`")
    if text == "last" and known:
        return known[0]
    if matches := [run for run in known if run.name.startswith(text)]:
        return matches[0]
    names = [run.name for run in known]
    near = get_close_matches(text, names, cutoff=0.4) or names[:5]
    hint = f"did you mean {near}?" if near else "nothing was run here; see --workspace"
    raise InputError(f"no run '{text}' in {workspace / 'runs'}; {hint}")


def find_finished(text: str, workspace: Path) -> Path:
    """Return the folder of one run, unless it is under way.

    Raises:
        RunLocked: It has not ended, and a run holds its workspace.
    """
    from gristmill.storage.shards import is_held

    run = find_run(text, workspace)
    if ledger_of(run) is None and is_held(run.parent.parent / ".gristmill" / "lock"):
        raise RunLocked(
            f"{run} has not ended yet: wait for it, or stop it by Ctrl-C; `build-dataset status "
            f"{run.name}` shows how far it is"
        )
    return run


def ledger_of(run: Path) -> dict[str, Any] | None:
    """Return what `ledger.json` says; None while the run has not ended."""
    path = run / "ledger.json"
    if not path.exists():
        return None
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            f"{path} is damaged: {error}; run the recipe again to repair it"
        ) from error
    return dict(note)


def ended(note: Mapping[str, Any]) -> str:
    """Say how a run ended: one that its error rate stopped has no dataset."""
    return f"{'stopped' if note['stop'] == 'error_rate' else 'finished'}: {note['stop']}"
