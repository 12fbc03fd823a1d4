"""A dataset that grows: a folder shaped like a run, made of the runs that added to it.

Its shards, rows and bills are those of its parts, linked or copied; its ledger is their sum. So
card, report, trace, diff, audit and `publish` tell of all versions what they tell of one run.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from gristmill.errors import RunLocked, StorageError
from gristmill.formats import marks, trainers
from gristmill.formats.exports import NOTES
from gristmill.publishing import calibration, card, croissant, environment, report
from gristmill.publishing.changelog import versions
from gristmill.publishing.diff import diff
from gristmill.publishing.files import RunFiles, is_after
from gristmill.publishing.versions import Version
from gristmill.storage.ledger import Counts, add, lines
from gristmill.storage.shards import lock, write_text

TRIED = "tried"
"""In the ledger: what marks asked for rows in vain, and is not tried again until a row leaves."""


def opened(folder: Path) -> RunFiles | None:
    """Return a grown dataset, its card up to date; None before its first version.

    Raises:
        InputError: Its files were edited.
    """
    ledger, told = folder / "ledger.json", folder / "dataset" / "README.md"
    if not ledger.exists():
        return None
    croissant.check(folder / "dataset")
    # The ledger says what the version is: killed after it, the card is written now.
    if not told.exists() or told.stat().st_mtime_ns < ledger.stat().st_mtime_ns:
        trainers.write(folder / "dataset", RunFiles.open(folder).note["dataset"])
        report.write(folder)
        card.write(folder)
    found = RunFiles.open(folder)
    for file in found.replaced:
        file.unlink(missing_ok=True)
    return found


def with_part(workspace: Path, run: Path) -> list[Path]:
    """Return the grown datasets of a workspace that a run was added to."""
    notes = sorted(workspace.glob("datasets/*/ledger.json"))
    told = ((note.parent, json.loads(note.read_text(encoding="utf-8"))) for note in notes)
    return [
        grown
        for grown, note in told
        if any(one["run"] == run.name for one in note.get("versions", ()))
    ]


def taken(run: RunFiles) -> set[str]:
    """Return the ids of the seeds that any version took, whatever became of them."""
    first = (pl.col("stage") == "seeds") & (pl.col("round") == 0)
    return set(run.scan().filter(first).select("id").collect()["id"])


def extend(
    folder: Path, path: Path, recipe: Mapping[str, Any], family: str, compared: list[Path]
) -> dict[str, Any] | None:
    """Add the rows that a finished run kept as a version; return it, or None where it kept none.

    Args:
        folder: The grown dataset.
        path: The run.
        recipe: The recipe as it was given, which builds every version.
        family: What all versions have in common.
        compared: The files of the dataset that the run's rows were compared with, in order.

    Raises:
        RunLocked: The dataset has grown since the run began, or grows right now.
    """
    part = RunFiles.open(path)
    if not len(part.kept):
        return None
    with lock(folder / ".lock"):
        before = opened(folder)
        known = versions(before) if before else []
        if same := [one for one in known if one["fingerprint"] == part.note["fingerprint"]]:
            return same[0]
        if compared != sorted(file.absolute() for file in (before.data if before else [])):
            raise RunLocked(
                f"{folder} grew to v{len(known)} while {path} was on its way, so its rows were not "
                "compared with all others and none was added; run the same command again"
            )
        for file in folder.rglob("*"):
            if is_after(file, len(known)):  # of a version that was cut short, perhaps another one
                file.unlink()
        made = _Version(folder, part, before, len(known) + 1)
        made.write(recipe, family)
    opened(folder)
    return made.told


class _Version:
    """A part on its way into a grown dataset."""

    def __init__(self, folder: Path, part: RunFiles, before: RunFiles | None, n: int) -> None:
        self.folder, self.part, self.before, self.name = folder, part, before, f"v{n:04d}"
        self.told: dict[str, Any] = {"version": n, "run": part.path.name}

    def write(self, recipe: Mapping[str, Any], family: str) -> None:
        """Put all files in place, the ledger last: it makes them a version."""
        part, before = self.part, self.before
        older = Version.of_run(self.folder) if before else None
        files = [self._link(name, f"{self.name}-{Path(name).name}") for name in part.note["files"]]
        dataset = {
            self._link(f"dataset/{name}", self._split(name)).removeprefix("dataset/"): n
            for name, n in part.note["dataset"].items()
        }
        for bill in sorted(part.path.glob("costs/*.json")):
            self._link(f"costs/{bill.name}", f"{self.name}-{bill.name}")
        self._write_notes()
        environment.take(self.folder, part.path)
        calibration.take(self.folder, part.path)
        if said := marks.read(part.path).by_id:
            marks.add(self.folder, said.values())
        note = _sum(before.note if before else None, part.note)
        note["files"] = [*(before.note["files"] if before else []), *files]
        note["dataset"] = {**(before.note["dataset"] if before else {}), **dataset}
        changes = diff(older, Version.of_folder(self.folder / "dataset")) if older else None
        n_rows = len(part.kept)
        self.told |= {
            "fingerprint": part.note["fingerprint"],
            "seeds": part.note["seeds"],
            "digest": (part.note.get("input") or {}).get("digest", ""),
            "rows": n_rows + (len(before.kept) if before else 0),
            "lost": dict(sum((Counter(at["codes"]) for at in part.stages), Counter())),
            "diff": {
                name: getattr(changes, name) if changes else n_rows if name == "added" else 0
                for name in ("added", "changed", "removed")
            },
        }
        note |= {"family": family, "versions": [*(versions(before) if before else []), self.told]}
        lock_file = yaml.safe_dump({**part.lock, "recipe": dict(recipe)}, sort_keys=False)
        write_text(self.folder / "recipe.lock.yaml", lock_file)
        write_text(self.folder / "ledger.json", json.dumps(note, indent=1))

    def _split(self, name: str) -> str:
        """Return `train-v0002.parquet` for the training rows of the second version."""
        path = Path(name)
        return f"{path.stem.partition('-')[0]}-{self.name}{path.suffix}"

    def _link(self, name: str, new: str) -> str:
        """Give a file of the part its place, under another name; both are the same bytes on disk.

        Files of runs are never changed, only replaced.
        """
        source = self.part.path / name
        place = (self.folder / name).with_name(new)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        try:
            os.link(source, place)
        except OSError:  # another file system, or one without links
            shutil.copy2(source, place)
        return place.relative_to(self.folder).as_posix()

    def _write_notes(self) -> None:
        old = self.before.left_out if self.before else {}
        new = {
            (Path(name).parent / self._split(name)).as_posix(): told
            for name, told in self.part.left_out.items()
        }
        if notes := old | new:
            write_text(self.folder / "dataset" / NOTES, json.dumps(notes, indent=2))


def _sum(before: Mapping[str, Any] | None, part: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ledger of both: counts add up, everything else is the newer one's."""
    if not before:
        return dict(part)
    total: Counts = {}
    for note in (before, part):
        add(total, {line["stage"]: counter(line) for line in note["stages"]})
    labels = [line["stage"] for line in part["stages"]]
    if labels != [line["stage"] for line in before["stages"]]:
        raise StorageError(f"stages {labels} are not those of the versions before")
    seeds = before["seeds"] + part["seeds"]
    told = {"seeds": seeds, "stages": lines(labels, total), TRIED: before.get(TRIED, [])}
    return {**part, **paid(before, part), **told}


def paid(before: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """Return what two ledgers used together: answers and their tokens, by role, and time."""
    roles = {role: dict(told) for role, told in before["roles"].items()}
    for role, told in part["roles"].items():
        old = roles.get(role, {})
        counts = {n: v + old.get(n, 0) for n, v in told.items() if isinstance(v, int)}
        roles[role] = {**told, **counts}
    return {
        **{name: before[name] + part[name] for name in ("tokens", "wall_s")},
        "calls": {name: n + before["calls"][name] for name, n in part["calls"].items()},
        "roles": roles,
    }


def keep_bills(folder: Path, run: Path) -> None:
    """Copy the bills of a run whose folder goes: what it paid, the dataset paid."""
    n = len(json.loads((folder / "ledger.json").read_text(encoding="utf-8"))["versions"])
    (folder / "costs").mkdir(exist_ok=True)
    for bill in sorted(run.glob("costs/*.json")):
        known = len([*folder.glob("costs/*-marked-*.json")])
        shutil.copy2(bill, folder / "costs" / f"v{n:04d}-marked-{known:04d}-{bill.name}")


def counter(line: Mapping[str, Any]) -> Counter[str]:
    """Return the counts of a line of the ledger, as a shard has them."""
    codes = {f"code:{code}": n for code, n in line["codes"].items()}
    return Counter({name: n for name, n in line.items() if isinstance(n, int)} | codes)
