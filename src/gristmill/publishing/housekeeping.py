"""What the runs of a workspace need of its answers, and what may go.

An answer is needed where a row of a kept run, however it ended, was made from it: its key is among
the row's `calls`. Trainings stand in no row when a model is trained between rounds or measured by
`prove`: all of them stay as long as such a run does.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from gristmill.errors import InputError
from gristmill.publishing.proof import FILE as PROOF
from gristmill.storage.answers import check_version

LOCK = "recipe.lock.yaml"
FOLDERS = ".gristmill/folders"
"""Of a workspace: a line for every run in a folder of its own."""
SPARE = ("preview", "calibrate", "forecast", "marked")
"""Folders of `.gristmill` with runs that are only looked at."""
FREE = "key NOT IN needed AND NOT (substr(answer, 1, 2) = X'5B22' AND :trains)"
"""Of an answer that may go; one that begins like a JSON list of texts is a training."""


@dataclass(frozen=True)
class Sizes:
    """What a workspace's answers take; bytes of keys and answers, without what SQLite adds."""

    answers: int
    size_bytes: int
    free: int
    """Answers that no run needs."""
    free_bytes: int
    file_bytes: int
    """Of the file itself."""


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; 0 where there is none."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def ended(run: Path) -> bool:
    """Say whether all that a run paid for stands in its shards."""
    path = run / "ledger.json"
    if not path.exists():
        return False
    return bool(json.loads(path.read_text(encoding="utf-8"))["stop"] != "error_rate")


def spare(workspace: Path) -> list[Path]:
    """Return the runs that were previews, comparisons with labels, or samples of forecasts."""
    return [p for n in SPARE for p in sorted((workspace / ".gristmill" / n).glob("*/"))]


def forecast_of(workspace: Path, name: str) -> Path:
    """Return where the forecast of a run is kept: in the run of its sample."""
    return workspace / ".gristmill" / "forecast" / name / "forecast.json"


def elsewhere(workspace: Path) -> list[Path]:
    """Return the runs in folders of their own whose answers stand in this workspace."""
    file = workspace / FOLDERS
    told = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    own = workspace.absolute() / ".gristmill"
    return [run for run in map(Path, dict.fromkeys(told)) if not run.is_relative_to(own)]


def sizes(workspace: Path, runs: Sequence[Path]) -> Sizes:
    """Count the answers, and those that no run needs: these, spare ones, and those elsewhere."""
    runs = [*runs, *(run for run in elsewhere(workspace) if (run / LOCK).exists())]
    with _store(workspace, runs, "ro") as (store, trains):
        if store is None:
            return Sizes(0, 0, 0, 0, 0)
        count = "SELECT count(*), coalesce(sum(length(key) + length(answer)), 0) FROM answers"
        every = store.execute(count).fetchone()
        free = store.execute(f"{count} WHERE {FREE}", {"trains": trains}).fetchone()
    file_bytes = size_of(workspace / ".gristmill" / "answers.sqlite")
    return Sizes(every[0], every[1], free[0], free[1], file_bytes)


def prune(workspace: Path, runs: Sequence[Path]) -> Sizes:
    """Remove the answers that no run needs and give their room back; return what there was.

    The caller holds the workspace.

    Raises:
        InputError: One of the runs has not ended: nobody can tell what it needs.
    """
    runs = [*runs, *elsewhere(workspace)]
    if gone := [str(run) for run in runs if not (run / LOCK).exists()]:
        raise InputError(
            f"{', '.join(gone[:5])} is gone, a run in a folder of its own that may need its "
            f"answers: put it back, or remove its line from {workspace / FOLDERS}"
        )
    if waiting := [run.name for run in runs if not ended(run)]:
        raise InputError(
            f"{', '.join(waiting[:5])} has not ended, and the answers of rows under way stand in "
            "no file of it; run its recipe to the end, or remove it by `build-dataset runs remove`"
        )
    if damaged := [str(file) for run in runs for file in _files(run) if not _is_whole(file)]:
        raise InputError(
            f"{', '.join(damaged[:5])} cannot be read, and what it needs stands nowhere else; run "
            "its recipe again first"
        )
    found = sizes(workspace, runs)
    if found.free:
        with _store(workspace, runs, "rw") as (store, trains):
            assert store is not None
            with store:
                store.execute(f"DELETE FROM answers WHERE {FREE}", {"trains": trains})
            store.execute("VACUUM")
            store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return found


def free_models(workspace: Path, runs: Sequence[Path]) -> list[Path]:
    """Return the folders of trained models that none of the runs needs."""
    folders = sorted((workspace / ".gristmill" / "models").glob("*/"))
    runs = [run for run in [*runs, *elsewhere(workspace)] if (run / LOCK).exists()]
    if any(map(_trains, runs)):
        return []
    kept = [*runs, *spare(workspace)]
    known = {key for keys in _keys(kept) for key in keys} if folders else set()
    recipes = "".join((run / LOCK).read_text(encoding="utf-8") for run in runs)
    return [one for one in folders if one.name not in known and one.name not in recipes]


def readers_of(run: Path, others: Iterable[Path]) -> list[str]:
    """Return the names of other runs whose recipes read files of this one."""
    locks = ((other, other / LOCK) for other in others if other != run)
    return [o.name for o, lock in locks if run.name in lock.read_text(encoding="utf-8")]


def remove(folders: Iterable[Path]) -> None:
    """Remove folders; the lock file of a run goes first, so that half of one is no run any more."""
    folders = list(folders)
    if links := [str(folder) for folder in folders if folder.is_symlink()]:
        raise InputError(f"{', '.join(links)} is a link: remove what it points to yourself")
    for folder in folders:
        (folder / LOCK).unlink(missing_ok=True)
        shutil.rmtree(folder)


@contextmanager
def _store(
    workspace: Path, runs: Sequence[Path], mode: str
) -> Iterator[tuple[sqlite3.Connection | None, bool]]:
    """Open the store with a table of the needed keys; say whether trainings stay."""
    path = workspace / ".gristmill" / "answers.sqlite"
    if not path.is_file():
        yield None, False
        return
    kept = [*runs, *spare(workspace)]
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(uri, uri=True)) as store:
        check_version(store, path)
        store.execute("CREATE TEMP TABLE needed (key TEXT PRIMARY KEY) WITHOUT ROWID")
        for keys in _keys(kept):
            store.executemany("INSERT OR IGNORE INTO needed VALUES (?)", ((key,) for key in keys))
        store.commit()
        yield store, any(map(_trains, runs))


def _files(run: Path) -> list[Path]:
    told = json.loads((run / "ledger.json").read_text(encoding="utf-8")).get("files") or []
    return [run / name for name in told]


def _is_whole(file: Path) -> bool:
    try:
        pq.read_metadata(file)
    except (pa.ArrowException, OSError):
        return False
    return True


def _keys(runs: Iterable[Path]) -> Iterator[set[str]]:
    """Yield the keys in every shard that there is, also those of earlier waves."""
    for run in runs:
        for file in sorted(run.glob("shards/*/*.parquet")):
            calls = pq.read_table(file, columns=["calls"])["calls"].combine_chunks()
            yield set(calls.flatten().unique().to_pylist())


def _trains(run: Path) -> bool:
    lock = yaml.safe_load((run / LOCK).read_text(encoding="utf-8"))
    rounds = lock["recipe"].get("rounds") or {}
    return bool(rounds.get("train")) or (run / PROOF).exists()
