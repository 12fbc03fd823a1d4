"""forecast: what a recipe will take and give, from a sample of its seeds."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gristmill.commands.again import again
from gristmill.commands.bar import watching
from gristmill.commands.building import announce, order_of, writable
from gristmill.commands.screen import Screen
from gristmill.text.plurals import counted

if TYPE_CHECKING:
    from gristmill.forecasting.forecasting import Forecast
    from gristmill.pipelines.recipe import Recipe


def do_forecast(args: argparse.Namespace, screen: Screen) -> int:
    """Run a sample, predict the whole run, and keep the forecast for its report."""
    from gristmill.forecasting.forecasting import Sampler, forecast
    from gristmill.storage.shards import write_text

    writable(args.workspace)
    order = order_of(args)
    prepared = order.prepare()
    announce(prepared, order, screen)
    with watching(screen) as progress:
        sampler = Sampler(prepared, args.workspace, order.runner, progress)
        found = forecast(sampler)
    told = {"recipe": prepared.recipe.name, "run": prepared.name, **_told(found, prepared.recipe)}
    write_text(sampler.file, json.dumps(told, indent=1))
    if args.json:
        screen.result(told)
    else:
        _show(told, sampler.file, screen)
        screen.hint(f"next: {again(args, 'run')} (it uses these answers again)")
    return 0


def _told(found: Forecast, recipe: Recipe) -> dict[str, Any]:
    figures = {name: {**asdict(one), "unit": unit} for name, (one, unit) in found.figures.items()}
    return {
        "sampled": found.sampled,
        "of_seeds": found.n_seeds,
        "aim": {"target": recipe.target, "budget": recipe.budget.model_dump()},
        "figures": figures,
        "devices": found.devices,
        "not_covered": found.notes,
    }


def _show(told: dict[str, Any], kept: Path, screen: Screen) -> None:
    seeds = f"{told['sampled']:,} of {counted(told['of_seeds'], 'seed')}"
    screen.line(
        f"{told['recipe']}: forecast from {seeds}; "
        "low and high are meant to hold the fact in 90 of 100 runs"
    )
    rows = [
        [name, *(amount(one[at], one["unit"]) for at in ("low", "expected", "high")), one["unit"]]
        for name, one in told["figures"].items()
    ]
    screen.table(["figure", "low", "expected", "high", "unit"], rows)
    for note in told["not_covered"]:
        screen.line(f"not covered: {note}")
    screen.line(f"kept in {kept}")


def amount(value: float, unit: str) -> str:
    """Return a figure for a person: whole numbers, but seconds and hours to three digits."""
    return f"{value:,.3g}" if unit in ("s", "h") and value < 1000 else f"{value:,.0f}"
