"""Grow a dataset: run a recipe on the seeds that are new, against all rows accepted before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from gristmill.errors import RecipeError
from gristmill.formats.others import Against
from gristmill.pipelines.plan import Plan, check
from gristmill.pipelines.workspace import Prepared, prepare
from gristmill.publishing import growth
from gristmill.publishing.housekeeping import FOLDERS


def part(prepared: Prepared, folder: Path, *, allow_plugins: bool) -> Prepared | None:
    """Return the run that is due: of the new seeds alone; None where every seed was taken.

    Raises:
        RecipeError: No stage compares rows with others, or another recipe made the dataset.
        InputError: The dataset was edited.
    """
    recipe = prepared.recipe
    if not (comparing := _comparing(prepared.plan)):
        raise RecipeError(
            "growing compares new rows with all that were accepted before, and no stage of "
            f"recipe '{recipe.name}' does that; add `- use: filters.near_duplicates`"
        )
    if not (before := growth.opened(folder)):
        return prepared
    if before.note["family"] != family(prepared, allow_plugins=allow_plugins):
        raise RecipeError(
            f"{folder} was made by another recipe than this '{recipe.name}' is now (stages, models "
            "or columns of the seeds differ), so its rows were not judged alike; undo the change, "
            "or give the recipe another name: what was answered is used again"
        )
    known, seeds = growth.taken(before), prepared.seeds
    new = [i for i, seed_id in enumerate(seeds.ids) if seed_id not in known]
    if not new:
        return None
    few = replace(seeds, rows=[seeds.rows[i] for i in new], ids=[seeds.ids[i] for i in new])
    stages = [dict(stage) for stage in recipe.stages]
    for i in comparing:
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
