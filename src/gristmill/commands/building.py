"""run and preview: a recipe, from its seeds to its dataset."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from gristmill.commands.again import again, typed
from gristmill.commands.bar import Tell, watching
from gristmill.commands.growing import amended, grown, tell_grown
from gristmill.commands.judges import note_judges, stale
from gristmill.commands.metrics import exporting
from gristmill.commands.rows import left_out, row_lines
from gristmill.commands.screen import Screen
from gristmill.errors import InputError
from gristmill.flows.kinship import own_family
from gristmill.flows.order import Order
from gristmill.formats.exports import NOTES
from gristmill.formats.protecting import NONE
from gristmill.pipelines.outcome import Result
from gristmill.pipelines.recipe import Budget, Recipe
from gristmill.pipelines.workspace import Prepared, prepare
from gristmill.publishing.environment import differences
from gristmill.text.plurals import counted

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
        grow=getattr(args, "grow", False),
        publish=getattr(args, "publish", None),
        public=getattr(args, "public", False),
    )


def writable(workspace: Path) -> None:
    """Make the workspace's folder.

    Raises:
        InputError: It cannot be one.
    """
    try:
        workspace.mkdir(parents=True, exist_ok=True)
        if os.access(workspace, os.W_OK | os.X_OK):
            return
        why = "it may not be written"
    except OSError as error:
        why = str(error.strerror)
    raise InputError(
        f"--workspace {workspace} cannot be used: {why}; name a folder that you may write to"
    )


def do_run(args: argparse.Namespace, screen: Screen) -> int:
    """Run a recipe to its end; one that keeps no row has not given what was asked for."""
    writable(args.workspace)
    order = order_of(args)
    how = _bare if args.no_prefect else _in_flow
    prepared, result = how(order, screen, args.metrics_port)
    found = grown(order, prepared)
    if result is None:
        screen.line("nothing new: every seed of the input was taken before")
        return tell_grown(found, {}, args, screen)
    recipe = prepared.recipe
    late = _misses(recipe, result) or result.stop == "budget" or not result.dataset.num_rows
    if not args.json:
        _ending(result, recipe, screen)
    tell_grown(found, summary(result), args, screen)
    return STOPPED if late else 0


def _misses(recipe: Recipe, result: Result) -> bool:
    return recipe.target is not None and result.stop != "target"


def _bare(order: Order, screen: Screen, port: int | None) -> tuple[Prepared, Result | None]:
    base = amended(order, screen)
    if not (prepared := order.due(base)):
        return base, None
    announce(prepared, order, screen)
    with _told(order, prepared, screen, port) as progress:
        return prepared, order.execute(prepared, progress)


def _in_flow(order: Order, screen: Screen, port: int | None) -> tuple[Prepared, Result | None]:
    """Run as a Prefect flow; its server starts while the recipe is checked."""
    from gristmill.flows.server import serving

    with serving(order.workspace) as server:
        base = amended(order, screen)
        if not (prepared := order.due(base)):
            return base, None
        announce(prepared, order, screen)
        server.wait()
        if server.link:
            screen.note(f"Prefect's page: {server.link}")
        from gristmill.flows.build import build_in_flow

        with _told(order, prepared, screen, port) as progress:
            return prepared, build_in_flow(order, prepared, progress, screen.note)


@contextmanager
def _told(
    order: Order, prepared: Prepared, screen: Screen, port: int | None
) -> Iterator[Tell | None]:
    """Give what takes the looks at a run: the progress line, and metrics if they are wanted."""
    run = order.workspace / "runs" / prepared.name
    with watching(screen) as shown, exporting(port, run, screen.note, shown) as tell:
        note_judges(prepared, order.workspace)
        yield tell


def announce(prepared: Prepared, order: Order, screen: Screen) -> None:
    """Say what the seeds were taken for, and what somebody should know before the rows count."""
    screen.note(f"shape: {prepared.seeds.recognised}")
    other = differences(order.recipe)
    for told in (*cautions(prepared), *stale(prepared, order.workspace), *other):
        screen.note(told)


def cautions(prepared: Prepared) -> Iterator[str]:
    """Yield what somebody should know before the rows count, as that the shipped model is a toy."""
    yield from own_family(prepared)
    for use in prepared.plan.uses:
        if getattr(use.stage, "pins", None) == ():
            yield (
                f"{use.label}: {NONE}, so nothing is compared; "
                "build-dataset benchmarks add NAME SOURCE"
            )
    if prepared.recipe.name == "demo":
        return  # all that it is for
    for role, engine in prepared.engines.items():
        if getattr(engine, "model", None) == "demo":
            yield (
                f"{role}: the model `demo` only shows the machinery, what it says of your rows is "
                f"worth nothing; for real work --set engines.{role}.model=NAME"
            )


def summary(result: Result) -> dict[str, Any]:
    """Return what `run --json` promises."""
    names = ("in", "entered_ok", "rejected", "failed", "made", "rejected_children", "kept")
    lines = result.ledger
    return {
        "run_dir": str(result.path),
        "dataset": str(result.folder),
        "seeds": {name: result.note["input"][name] for name in ("rows", "malformed")},
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
    if recipe.target and found > recipe.target:
        wanted += f" and the {found - recipe.target:,} that opened the pool"
    if wanted and told["kept"] != found:
        wanted = f", selected from {found:,}{wanted}"
    screen.line(f"{counted(told['kept'])}{wanted}: {WHY[result.stop]}")
    limit = recipe.budget.tokens
    if limit and told["tokens"] > limit:
        screen.line(
            f"the budget of {limit:,} tokens was passed: a run looks at it between waves or rounds"
        )
    for line in left_out(result.path, result.note["input"]):
        screen.line(line)
    if not told["kept"]:
        screen.line("no row was kept; the command below shows where they left, and why")
    elif _misses(recipe, result):
        screen.line("the target was not met: give more seeds, relax a filter, or lower the target")
    for name, path in (
        ("dataset", result.folder),
        ("card", result.folder / "README.md"),
        ("report", result.report),
    ):
        if path.exists():
            screen.line(f"{name:8} {path}")
    for line in _lacking(result.folder):
        screen.line(line)
    calls = told["calls"]
    screen.line(
        f"{'calls':8} {calls['made']:,} made, {calls['replayed']:,} replayed; "
        f"{counted(told['tokens'], 'token')}; {told['wall_s']:.1f} s"
    )
    screen.hint(f"{'next':8} {_next(result, told)}")


def _lacking(folder: Path) -> Iterator[str]:
    """Yield a line for every export that has no place for some rows of the dataset."""
    path = folder / NOTES
    notes = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name, note in notes.items():
        if gone := note["left_out"]:
            why = ", ".join(f"{why} {n:,}" for why, n in gone.items())
            yield f"{name} lacks {counted(sum(gone.values()))} of the dataset: {why}"


def _next(result: Result, told: dict[str, Any]) -> str:
    if not told["kept"]:
        return typed("status", result.path)
    return typed("trace", result.path, result.dataset["id"][0].as_py())


def do_preview(args: argparse.Namespace, screen: Screen) -> int:
    """Run the first seeds of a recipe and show what comes out, without a target.

    They are the seeds that the full run takes first, so it does not pay for them again. Of rounds
    the first two run, since some methods make nothing in the first; of those that train, one.
    """
    from gristmill.forecasting.sampling import first

    writable(args.workspace)
    order = order_of(args)
    recipe = order.load()
    told = recipe.rounds
    rounds = told.model_copy(update={"n": min(told.n, 2)}) if told and not told.train else None
    recipe = recipe.model_copy(update={"target": None, "budget": Budget(), "rounds": rounds})
    prepared = prepare(recipe, allow_plugins=order.allow_plugins)
    announce(prepared, order, screen)
    few = first(prepared.seeds, args.n)
    folder = args.workspace / ".gristmill" / "preview" / prepared.name
    with watching(screen) as progress:
        result = order.execute(replace(prepared, seeds=few), progress, folder=folder)
    if args.json:
        screen.result({**summary(result), "rows": result.dataset.to_pylist()})
        return 0
    for row in result.dataset.to_pylist():
        for line in row_lines(row):
            screen.line(line)
        screen.line()
    for line in left_out(folder, result.note["input"]):
        screen.line(line)
    note = summary(result)
    gone = list(_gone(result))
    these = "; these left:" if gone else ""
    screen.line(f"{counted(note['kept'])} from {counted(len(few.rows), 'seed')}{these}")
    for line in gone:
        screen.line(line)
    calls, tokens = counted(note["calls"]["made"], "call"), counted(note["tokens"], "token")
    screen.line(f"{calls} made, {tokens}, {note['wall_s']:.1f} s")
    screen.hint(f"next: {again(args, 'run')}{'' if rounds else ' (it uses these answers again)'}")
    return 0


def _gone(result: Result) -> Iterator[str]:
    """Yield how many rows left at which stage, by reason; a failed row is one of them."""
    for entry in result.ledger:
        reasons = {**entry["codes"], "failed": entry["failed"]}
        yield from (f"  {n:6,} {entry['stage']}: {why}" for why, n in reasons.items() if n)
