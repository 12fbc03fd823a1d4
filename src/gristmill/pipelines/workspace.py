"""Open a workspace and run a recipe in it.

A workspace is a folder with `.gristmill/` (the answer store and the lock) and `runs/`. One
process at a time holds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from gristmill.engines.base import Engine
from gristmill.engines.client import connect, stop_all
from gristmill.engines.loop import block, patient_collector
from gristmill.engines.named import build_engines
from gristmill.engines.plugins import permit
from gristmill.engines.progress import Meter, Progress
from gristmill.errors import InputError
from gristmill.formats import marks
from gristmill.formats.exports import write_dataset
from gristmill.formats.readers import Seeds, from_rows, require, write_malformed
from gristmill.pipelines.outcome import Result
from gristmill.pipelines.plan import Plan, called, check
from gristmill.pipelines.recipe import Recipe
from gristmill.pipelines.run import Run, Step
from gristmill.pipelines.runners import LocalRunner
from gristmill.pipelines.seeds import read_seeds, seed_rows
from gristmill.storage.answers import Answers
from gristmill.storage.ids import digest
from gristmill.storage.rows import Row, to_table
from gristmill.storage.shards import lock, write_text


@dataclass(frozen=True)
class Prepared:
    """A checked recipe with its seeds and engines; nothing is loaded."""

    recipe: Recipe
    plan: Plan
    seeds: Seeds
    engines: Mapping[str, Engine]

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return f"{self.recipe.name}-{self.plan.fingerprint[:12]}"


def prepare(
    recipe: Recipe,
    seeds: Sequence[Row] | Seeds | None = None,
    engines: Mapping[str, Engine] | None = None,
    *,
    allow_plugins: bool = False,
) -> Prepared:
    """Check everything that can be checked without loading a model.

    `seeds` and `engines` replace those that the recipe names; `allow_plugins` lets it import
    stages from modules outside gristmill.
    """
    found = read_seeds(recipe) if seeds is None else from_rows(seeds)
    built = build_engines(recipe.name, recipe.engines) | dict(engines or {})
    key = digest(sorted(found.ids))
    plan = check(recipe, found.columns, built, key, allow_plugins=allow_plugins)
    made = set[str]()
    for use in plan.uses if seeds is None else ():  # rows handed over have their names on purpose
        require(found, use.label, use.stage.judges() - made)
        made |= {*use.lands.values()} if use.folder == "generators" else set()
    used = called(recipe, plan.uses)
    for role in sorted(used):
        permit(role, built[role], allowed=allow_plugins)
        built[role].check()
    return Prepared(recipe, plan, found, {role: built[role] for role in sorted(used)})


def run(
    recipe: Recipe,
    seeds: Sequence[Row] | None = None,
    engines: Mapping[str, Engine] | None = None,
    runner: LocalRunner | None = None,
    workspace: str | Path = ".",
    *,
    folder: Path | None = None,
    step: Step | None = None,
    progress: Callable[[Progress], None] | None = None,
    allow_plugins: bool = False,
) -> Result:
    """Run `recipe` to its end; run it again and it replays. Also inside a notebook.

    >>> rows = [{"instruction": "Sort a list.", "output": "Use sorted."}] * 2
    >>> run(Recipe(name="one", stages=[{"use": "filters.exact_duplicates"}]), rows).dataset.num_rows
    1

    The run's folder is `<workspace>/runs/<name>-<fingerprint>` unless `folder` names another.
    `step` runs one unit of work (see `run.Step`), `progress` is told twice a second.

    Raises:
        UsageError: The recipe, its input or this machine cannot do what is asked.
        TooManyErrors: More rows failed than the recipe allows; it has the `Result` so far.
        RunLocked: Another process holds the workspace.
    """
    prepared = prepare(recipe, seeds, engines, allow_plugins=allow_plugins)
    return execute(prepared, runner, Path(workspace), folder=folder, step=step, progress=progress)


def execute(
    prepared: Prepared,
    runner: LocalRunner | None = None,
    workspace: Path = Path(),
    *,
    folder: Path | None = None,
    step: Step | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Run what `prepare` has checked, as `run` does."""
    path = folder or workspace / "runs" / prepared.name
    engines = {role: engine.in_workspace(workspace) for role, engine in prepared.engines.items()}
    prepared = replace(prepared, engines=engines)
    with lock(workspace / ".gristmill" / "lock") as held:
        held.truncate(0)
        held.write(f"{path.absolute()}\n")  # whose run this is: `status` asks
        held.flush()
        try:
            if folder:  # who prunes the answers looks there, too
                with (workspace / ".gristmill" / "folders").open("a") as told:
                    told.write(f"{path.absolute()}\n")
            return block(_run(prepared, runner or LocalRunner(), workspace, path, step, progress))
        finally:
            held.truncate(0)


async def _run(
    prepared: Prepared,
    runner: LocalRunner,
    workspace: Path,
    path: Path,
    step: Step | None,
    progress: Callable[[Progress], None] | None,
) -> Result:
    recipe, plan, seeds = prepared.recipe, prepared.plan, prepared.seeds
    engines, step, said = prepared.engines, step or _bare, marks.read(path)
    async with AsyncExitStack() as ending:
        store = workspace / ".gristmill" / "answers.sqlite"
        answers = ending.enter_context(closing(Answers(store)))  # SQLite's, of this thread alone
        _claim(path, prepared)
        clients, runner.crowd = connect(engines, answers, runner.host, runner.wake, recipe.slots)
        meter = Meter(clients, lambda: runner.done, progress, path / "costs")
        seen, rows = seeds.summary(), seed_rows(seeds)
        work = Run(recipe, plan, rows, clients, runner, path, step, meter, seen, said)
        write_malformed(path / "malformed.jsonl", seeds.malformed)
        ending.push_async_callback(runner.close)
        ending.push_async_callback(stop_all, clients.values())
        async with meter.running():
            with patient_collector():
                found, stop, n_seeds = await work()
    table, export = to_table(found.rows, plan.schema), recipe.export
    write = partial(asyncio.to_thread, write_dataset, table, path / "dataset", export)
    result = work.save(found, table, stop, n_seeds, await step("export", write))
    from gristmill.publishing import card, environment, report  # polars and jinja2: not for `check`

    environment.write(path)
    if export.card:
        card.write(path)
    if export.report:
        report.write(path)
    return result


def _claim(path: Path, prepared: Prepared) -> None:
    """Write the locked recipe, or refuse a folder that belongs to another one.

    The ledger goes: from now on the run is unfinished, also one that was finished and grows.
    """
    locked, wanted = path / "recipe.lock.yaml", prepared.plan.fingerprint
    known = yaml.safe_load(locked.read_text(encoding="utf-8")) or {} if locked.exists() else {}
    if locked.exists() and (found := known.get("fingerprint")) != wanted:
        raise InputError(
            f"{path} belongs to another recipe (fingerprint {str(found)[:12]}, this one is "
            f"{wanted[:12]}); move it away or name another folder"
        )
    # The same fingerprint means the same models: nobody is asked again.
    said, engines, uses = known.get("models") or {}, prepared.engines, prepared.plan.uses
    origins = {role: said.get(role) or engine.origin() for role, engine in engines.items()}
    text = {
        "fingerprint": wanted,
        "engines": {role: engine.identity for role, engine in engines.items()},
        "models": {role: told for role, told in origins.items() if told},
        "pins": {use.label: pins for use in uses if (pins := [*getattr(use.stage, "pins", ())])},
        "recipe": prepared.recipe.model_dump(mode="json"),
    }
    write_text(locked, yaml.safe_dump(text, sort_keys=False, allow_unicode=True))
    (path / "ledger.json").unlink(missing_ok=True)


async def _bare(_name: str, work: Callable[[], Awaitable[Any]]) -> Any:
    return await work()
