"""prove: whether what a recipe selects trains a model better than chance does."""

from __future__ import annotations

import argparse
from typing import Any

from gristmill.commands.bar import watching
from gristmill.commands.building import order_of, writable
from gristmill.commands.screen import Screen
from gristmill.errors import InputError

FEWEST_SEEDS = 3


def do_prove(args: argparse.Namespace, screen: Screen) -> int:
    """Run every recipe without the rows held out, train, and write the table into every card."""
    from gristmill.publishing import card, proof

    if args.seeds < FEWEST_SEEDS:
        raise InputError(
            f"--seeds {args.seeds}: fewer than {FEWEST_SEEDS} trainings say nothing about chance"
        )
    writable(args.workspace)
    found = [_proven(recipe, args, screen) for recipe in [args.recipe, *args.more]]
    lines = [line for _, line in found]
    cards = []
    for run, _ in found:
        proof.save(run, lines)
        if run.recipe["export"]["card"]:
            cards.append(card.write(run.path))
    if args.json:
        screen.result({"lines": lines})
    screen.line(proof.about(lines[0]))
    screen.table(proof.HEADS, map(proof.cells, lines))
    if "passes" in lines[0]:
        screen.line(proof.about_passes(lines[0]))
        screen.table(proof.PASS_HEADS, map(proof.pass_cells, lines))
    for path in cards:
        screen.line(f"{'card':8} {path}")
    return 0


def _proven(name: str, args: argparse.Namespace, screen: Screen) -> tuple[Any, dict[str, Any]]:
    """Return a recipe's run and its line of the table."""
    from gristmill.flows.proof import arms_of, measure, split, trainer_of
    from gristmill.flows.solving import Solver
    from gristmill.pipelines.workspace import prepare
    from gristmill.publishing.files import RunFiles

    order = order_of(args).model_copy(update={"recipe": name})
    recipe = order.load()
    trainer = trainer_of(recipe)
    solver = Solver.of(recipe) if args.tests else None
    found = split(recipe, args.held_out, args.test, args.tests)
    prepared = prepare(recipe, found.seeds, allow_plugins=args.allow_plugins)
    with watching(screen) as progress:
        run = RunFiles.open(order.execute(prepared, progress).path)
    arms = arms_of(run, args.seeds)

    def tell(done: int, total: int) -> None:
        screen.note(f"{recipe.name}: {done} of {total} trainings")

    line = measure(arms, found, trainer, args.workspace, tell, solver)
    about = {"recipe": recipe.name, "run": run.path.name, "model": trainer.model}
    return run, {**about, "trainer": trainer.identity, "repeated": found.repeated, **line}
