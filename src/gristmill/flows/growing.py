"""Grow a dataset: run a recipe on the seeds that are new, against all rows accepted before."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from gristmill.errors import RecipeError, RunLocked
from gristmill.formats import marks
from gristmill.formats.others import Against
from gristmill.pipelines.plan import Plan, check
from gristmill.pipelines.workspace import Prepared, prepare
from gristmill.publishing import amending, growth
from gristmill.publishing.files import RunFiles
from gristmill.publishing.housekeeping import FOLDERS
from gristmill.storage.shards import lock

MARKED = ".gristmill/marked"
"""Of a workspace: runs of the seeds of rows that a person wants back."""


def part(prepared: Prepared, folder: Path, *, allow_plugins: bool) -> Prepared | None:
    """Return the run that is due: of the new seeds alone; None where every seed was taken.

    Raises:
        RecipeError: No stage compares rows with others, or another recipe made the dataset.
        InputError: The dataset was edited.
    """
    if not (before := _before(prepared, folder, allow_plugins=allow_plugins)):
        return prepared
    new = {*prepared.seeds.ids} - growth.taken(before)
    return _of_seeds(prepared, new, before, allow_plugins=allow_plugins) if new else None


def amend(
    prepared: Prepared, folder: Path, run: Callable[[Prepared, Path], Any], *, allow_plugins: bool
) -> dict[str, Any] | None:
    """Let the dataset obey what people marked since; return the version, None without a change.

    Rows that leave do so first. Then seeds of rows that are to come back run again, by `run`,
    against all rows accepted so far, which makes another version. A seed that the input lost does
    not, nor do those of rounds.
    """
    if not (before := _before(prepared, folder, allow_plugins=allow_plugins)):
        return None
    asked, made = amending.wanted(before), None
    can_run = not prepared.recipe.rounds
    seeds = {*prepared.seeds.ids} & {*asked.back.values()} if can_run else set[str]()
    if not asked.out and not seeds:
        return None
    with lock(folder / ".lock"):
        if amending.wanted(RunFiles.open(folder)) != asked:
            raise RunLocked(f"{folder} grew meanwhile; run the same command again")
        if asked.out and seeds and len(asked.out) < len(before.kept):
            # First, so that these leave even where the run of the others fails.
            made = amending.amend(folder, replace(asked, back={}), None)
            asked, before = replace(asked, out={}), growth.opened(folder) or before
        if seeds:
            due = _of_seeds(prepared, seeds, before, allow_plugins=allow_plugins)
            with _running(folder, due, run) as again:
                made = amending.amend(folder, asked, again) or made
        else:
            made = amending.amend(folder, asked, None)
    growth.opened(folder)
    return made


@contextmanager
def _running(
    folder: Path, due: Prepared, run: Callable[[Prepared, Path], Any]
) -> Iterator[RunFiles]:
    """Give the run of the seeds of rows that are to come back; of its folder the bills stay."""
    path = folder.parents[1] / MARKED / folder.name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        marks.add(path, marks.read(folder).by_id.values())
        run(due, path)
        yield RunFiles.open(path)
    finally:
        growth.keep_bills(folder, path)
        shutil.rmtree(path, ignore_errors=True)


def _before(prepared: Prepared, folder: Path, *, allow_plugins: bool) -> RunFiles | None:
    """Open the dataset that a recipe grows; None before its first version."""
    recipe = prepared.recipe
    if not _comparing(prepared.plan):
        raise RecipeError(
            "growing compares new rows with all that were accepted before, and no stage of "
            f"recipe '{recipe.name}' does that; add `- use: filters.near_duplicates`"
        )
    before = growth.opened(folder)
    if before and before.note["family"] != family(prepared, allow_plugins=allow_plugins):
        raise RecipeError(
            f"{folder} was made by another recipe than this '{recipe.name}' is now (stages, models "
            "or columns of the seeds differ), so its rows were not judged alike; undo the change, "
            "or give the recipe another name: what was answered is used again"
        )
    return before


def _of_seeds(
    prepared: Prepared, ids: Collection[str], before: RunFiles, *, allow_plugins: bool
) -> Prepared:
    """Return a run of some seeds against all rows of the dataset."""
    recipe, seeds = prepared.recipe, prepared.seeds
    some = [i for i, seed_id in enumerate(seeds.ids) if seed_id in ids]
    few = replace(seeds, rows=[seeds.rows[i] for i in some], ids=[seeds.ids[i] for i in some])
    stages = [dict(stage) for stage in recipe.stages]
    for i in _comparing(prepared.plan):
        own = _as_list(stages[i].get("against"))
        stages[i]["against"] = [*own, *(str(file.absolute()) for file in before.data)]
        stages[i].pop("pin", None)  # of its own files, checked above
    due = recipe.model_copy(update={"stages": stages})
    return prepare(due, few, allow_plugins=allow_plugins)


def add(folder: Path, due: Prepared, run: Path) -> dict[str, Any] | None:
    """Add what the run that was due kept, as a version; None where that is nothing.

    The workspace then keeps the answers behind it, too.
    """
    rows, stages, compared = (folder / "dataset" / "data").absolute(), [], set[Path]()
    for stage in due.recipe.stages:
        against = [Path(file) for file in _as_list(stage.get("against"))]
        own = [str(file) for file in against if not file.is_relative_to(rows)]
        compared |= {file for file in against if file.is_relative_to(rows)}
        given = {name: value for name, value in stage.items() if name != "against"}
        stages.append({**given, "against": own} if own else given)
    base = replace(due, recipe=due.recipe.model_copy(update={"stages": stages}))
    recipe, common = base.recipe.model_dump(mode="json"), family(base, allow_plugins=True)
    made = growth.extend(folder, run, recipe, common, sorted(compared))
    told, line = folder.parents[1] / FOLDERS, f"{folder.absolute()}\n"
    if made and (not told.exists() or line not in told.read_text(encoding="utf-8")):
        with told.open("a", encoding="utf-8") as out:
            out.write(line)
    return made


def family(prepared: Prepared, *, allow_plugins: bool) -> str:
    """Name everything that decides the rows but the seeds."""
    columns, engines = prepared.seeds.columns, prepared.engines
    return check(prepared.recipe, columns, engines, allow_plugins=allow_plugins).fingerprint


def _comparing(plan: Plan) -> list[int]:
    return [i for i, use in enumerate(plan.uses) if isinstance(use.stage, Against)]


def _as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())
