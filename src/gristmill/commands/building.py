"""run, check and preview: a recipe, from the plan to the dataset."""

from __future__ import annotations

import argparse
from dataclasses import replace
from shutil import rmtree
from typing import Any

from gristmill.commands.bar import watching
from gristmill.commands.online import asked
from gristmill.commands.rows import row_lines
from gristmill.commands.screen import Screen
from gristmill.flows.order import Order
from gristmill.pipelines.outcome import Result
from gristmill.pipelines.recipe import Budget, Recipe
from gristmill.pipelines.waves import misses
from gristmill.pipelines.workspace import Prepared, prepare
from gristmill.publishing.escape import printable

STOPPED = 3
WHY = {
    "error_rate": "too many rows failed",
    "target": "the target is reached",
    "seeds": "all seeds are used",
    "budget": "the token budget is spent",
    "yield": "another round would give too little",
}


def order_of(args: argparse.Namespace) -> Order:
    """Return what the arguments ask for as plain data."""
    return Order(
        recipe=args.recipe,
        sets=tuple(args.sets),
        inputs=tuple(args.inputs),
        map=dict(args.maps),
        target=args.target,
        workspace=args.workspace,
        local=getattr(args, "local", True),
        ray=getattr(args, "ray", None),
        allow_plugins=args.allow_plugins,
        unisolated=args.unisolated,
    )


def do_run(args: argparse.Namespace, screen: Screen) -> int:
    """Run a recipe to its end."""
    order = order_of(args)
    recipe, result = (_bare if args.no_prefect else _in_flow)(order, screen)
    late = misses(recipe, result.stop) or result.stop == "budget"
    if args.json:
        screen.result(summary(result))
    else:
        _ending(result, recipe, screen)
    return STOPPED if late else 0


def _bare(order: Order, screen: Screen) -> tuple[Recipe, Result]:
    prepared = order.prepare()
    with watching(screen) as progress:
        return prepared.recipe, order.execute(prepared, progress)


def _in_flow(order: Order, screen: Screen) -> tuple[Recipe, Result]:
    """Run as a Prefect flow; its server starts while the recipe is checked."""
    from gristmill.flows.server import serving

    with serving(order.workspace) as server:
        prepared = order.prepare()
        server.wait()
        from gristmill.flows.build import build_in_flow

        with watching(screen) as progress:
            return prepared.recipe, build_in_flow(order, prepared, progress)


def summary(result: Result) -> dict[str, Any]:
    """Return what `run --json` promises."""
    names = ("in", "entered_ok", "rejected", "failed", "made", "rejected_children", "kept")
    lines = result.ledger
    return {
        "run_dir": str(result.path),
        "dataset": str(result.folder),
        "kept": result.dataset.num_rows,
        "rejected": sum(line["rejected"] + line["rejected_children"] for line in lines),
        "failed": sum(line["failed"] for line in lines),
        "stop_reason": result.stop,
        "tokens": result.note["tokens"],
        "calls": result.note["calls"],
        "wall_s": result.note["wall_s"],
        "stages": [{"label": x["stage"], **{n: x[n] for n in names}} for x in lines],
    }


def _ending(result: Result, recipe: Recipe, screen: Screen) -> None:
    told = summary(result)
    found = next(line["kept"] for line in result.ledger if line["stage"] == "target")
    wanted = f" of the {recipe.target:,} wanted" if recipe.target else ""
    if wanted and told["kept"] != found:
        wanted = f", selected from {found:,}{wanted}"
    screen.line(f"{told['kept']:,} rows{wanted}: {WHY[result.stop]}")
    if not told["kept"]:
        screen.line("no row was kept: `build-dataset status last` shows where they left, and why")
    elif misses(recipe, result.stop):
        screen.line("the target was not met: give more seeds, relax a filter, or lower the target")
    for name, path in (
        ("dataset", result.folder),
        ("card", result.folder / "README.md"),
        ("report", result.report),
    ):
        if path.exists():
            screen.line(f"{name:8} {path}")
    calls = told["calls"]
    screen.line(
        f"{'calls':8} {calls['made']:,} made, {calls['replayed']:,} replayed; "
        f"{told['tokens']:,} tokens; {told['wall_s']:.1f} s"
    )
    screen.line(f"{'next':8} {_next(result, told)}")


def _next(result: Result, told: dict[str, Any]) -> str:
    if not told["kept"]:
        return f"build-dataset status {result.path}"
    return f"build-dataset trace {result.path} {result.dataset['id'][0].as_py()}"


def do_check(args: argparse.Namespace, screen: Screen) -> int:
    """Check a recipe and show what it would do."""
    prepared = order_of(args).prepare()
    online = list(asked(prepared)) if args.online else []
    if args.json:
        screen.result({**_plan(prepared), "online": online})
        return 0
    recipe, plan = prepared.recipe, prepared.plan
    screen.line(
        f"{recipe.name}: {len(prepared.seeds.rows):,} seeds, run folder runs/{prepared.name}"
    )
    for note in prepared.seeds.notes:
        screen.line(f"seeds: {printable(note)}")
    screen.table(
        ["stage", "use", "asks", "reads", "writes"],
        [
            (
                use.label,
                f"{use.folder}.{type(use.stage).__module__.rpartition('.')[2]}",
                ", ".join(sorted(use.stage.needs())),
                _some(sorted(use.reads)),
                _some(sorted(use.lands.values())),
            )
            for use in plan.uses
        ],
    )
    for role, engine in prepared.engines.items():
        screen.line(f"{role}: {type(engine).__name__} {engine.identity[:60]}")
    for told in online:
        screen.line(told)
    wanted = f"{recipe.target:,} rows" if recipe.target else "every row that passes"
    limit = f", at most {recipe.budget.tokens:,} tokens" if recipe.budget.tokens else ""
    screen.line(f"target: {wanted}{limit}")
    screen.line(f"next: build-dataset preview {args.recipe}, then build-dataset run {args.recipe}")
    return 0


def _plan(prepared: Prepared) -> dict[str, Any]:
    return {
        "name": prepared.recipe.name,
        "run": prepared.name,
        "seeds": prepared.seeds.summary(),
        "target": prepared.recipe.target,
        "engines": {role: engine.identity for role, engine in prepared.engines.items()},
        "stages": [
            {
                "label": use.label,
                "folder": use.folder,
                "needs": use.stage.needs(),
                "reads": sorted(use.reads),
                "writes": sorted(use.lands.values()),
                "codes": sorted(use.stage.codes),
            }
            for use in prepared.plan.uses
        ],
    }


def _some(names: list[str], limit: int = 3) -> str:
    more = f" +{len(names) - limit}" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def do_preview(args: argparse.Namespace, screen: Screen) -> int:
    """Run the first seeds of a recipe and show what comes out, without target and rounds.

    They are the seeds that the full run takes first, so it does not pay for them again.
    """
    order = order_of(args)
    recipe = order.load().model_copy(update={"target": None, "budget": Budget(), "rounds": None})
    prepared = prepare(recipe, allow_plugins=order.allow_plugins)
    seeds = prepared.seeds
    # The order of ids is the order in which a run takes its seeds.
    first = sorted(range(len(seeds.ids)), key=lambda i: seeds.ids[i])[: args.n]
    few = replace(seeds, rows=[seeds.rows[i] for i in first], ids=[seeds.ids[i] for i in first])
    folder = args.workspace / ".gristmill" / "preview" / recipe.name
    rmtree(folder, ignore_errors=True)  # another preview, perhaps of another recipe
    with watching(screen) as progress:
        result = order.execute(replace(prepared, seeds=few), progress, folder=folder)
    if args.json:
        screen.result({**summary(result), "rows": result.dataset.to_pylist()})
        return 0
    for row in result.dataset.to_pylist():
        for line in row_lines(row):
            screen.line(line)
        screen.line()
    told = summary(result)
    screen.line(f"{told['kept']} rows from {len(first)} seeds; these left:")
    for entry in result.ledger:
        for code, n in entry["codes"].items():
            screen.line(f"  {n:6,} {entry['stage']}: {code}")
    seconds, calls = told["wall_s"], told["calls"]
    screen.line(f"{calls['made']:,} calls made, {told['tokens']:,} tokens, {seconds:.1f} s")
    screen.line(f"next: build-dataset run {args.recipe} (it uses these answers again)")
    return 0
