"""check: what a recipe would do, and whether it can."""

from __future__ import annotations

import argparse
from typing import Any

from gristmill.commands.again import again
from gristmill.commands.building import cautions, order_of
from gristmill.commands.online import asked
from gristmill.commands.rows import no_rows
from gristmill.commands.screen import Screen
from gristmill.pipelines.workspace import Prepared
from gristmill.text.plurals import counted


def do_check(args: argparse.Namespace, screen: Screen) -> int:
    """Check a recipe and show what it would do."""
    prepared = order_of(args).prepare()
    online = list(asked(prepared)) if args.online else []
    if args.json:
        screen.result({**_plan(prepared), "online": online})
        return 0
    recipe, plan = prepared.recipe, prepared.plan
    n_seeds = counted(len(prepared.seeds.rows), "seed")
    screen.line(f"{recipe.name}: {n_seeds}, run folder runs/{prepared.name}")
    screen.line(f"shape: {prepared.seeds.recognised}")
    seeds = prepared.seeds
    if places := [(line.file, line.line) for line in seeds.malformed]:
        screen.line(f"seeds: {no_rows(places, len(seeds.files), seeds.n_lines)}")
    for note in seeds.notes:
        screen.line(f"seeds: {note}")
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
    for told in cautions(prepared):
        screen.line(told)
    for told in online:
        screen.line(told)
    screen.line(f"target: {_aim(prepared)}")
    screen.hint(f"next: {again(args, 'preview')}")
    screen.hint(f"then: {again(args, 'run')}")
    return 0


def _aim(prepared: Prepared) -> str:
    """Say how many rows are wanted, and how many of them the trailing selectors keep."""
    recipe = prepared.recipe
    wanted = counted(recipe.target) if recipe.target else "every row that passes"
    limit = f", at most {counted(recipe.budget.tokens, 'token')}" if recipe.budget.tokens else ""
    sizes = [(use.label, getattr(use.stage, "k", None)) for use in prepared.plan.selectors]
    kept = (f"; then {label} keeps {k:,} of them at most" for label, k in sizes if k)
    return f"{wanted}{limit}{''.join(kept)}"


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
