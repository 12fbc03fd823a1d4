"""calibrate: how far a judge agrees with labels beyond chance, what order and length decide.

What was measured stays in the workspace: cards print it, and runs say when it holds no more.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from gristmill.commands.bar import watching
from gristmill.commands.building import order_of, writable
from gristmill.commands.judges import identity, name_of
from gristmill.commands.screen import Screen
from gristmill.errors import InputError, RecipeError
from gristmill.publishing import calibration
from gristmill.text.length_bias import WON, by_length
from gristmill.text.plurals import counted

SHOWN = 5
"""Rows of each kind that are named."""
OPINIONS = ("winner", "level", "passed")
"""What a judge may write, the one that says most first."""


def do_calibrate(args: argparse.Namespace, screen: Screen) -> int:
    """Run a recipe up to its first verifier or scorer on labelled rows, and compare."""
    from gristmill.pipelines.recipe import Budget
    from gristmill.pipelines.workspace import prepare

    writable(args.workspace)
    order = order_of(args).model_copy(update={"inputs": (args.labels,)})
    recipe = order.load()
    judges = [
        i
        for i, stage in enumerate(recipe.stages)
        if str(stage.get("use")).startswith(("verifiers.", "scorers."))
    ]
    if not judges:
        raise RecipeError(f"recipe '{recipe.name}' has no verifier or scorer to compare")
    changes = {"target": None, "budget": Budget(), "rounds": None}
    few = recipe.model_copy(update={**changes, "stages": recipe.stages[: judges[0] + 1]})
    prepared = prepare(few, allow_plugins=args.allow_plugins)
    lands = prepared.plan.uses[-1].lands
    column = next((lands[name] for name in OPINIONS if name in lands), None)
    if column is None:
        raise RecipeError(f"'{few.stages[-1]['use']}' writes none of {', '.join(OPINIONS)}")
    folder = args.workspace / ".gristmill" / "calibrate" / prepared.name
    with watching(screen) as progress:
        result = order.execute(prepared, progress, folder=folder)
    found = compared(result.dataset.to_pylist(), column, args.label)
    judge = prepared.plan.uses[-1]
    told = {"identity": identity(judge, prepared), **found}
    calibration.remember(args.workspace, name_of(judge), told)
    if args.json:
        screen.result({"judge": recipe.name, **found})
    else:
        _tell(found, screen)
    return 0


def compared(rows: Sequence[Mapping[str, Any]], column: str, label: str) -> dict[str, Any]:
    """Return the figures over the rows that have an opinion of the judge and a label.

    Raises:
        InputError: no row has both.
    """
    from gristmill.geometry.agreement import agreement
    from gristmill.storage.rows import look

    pairs = [(look(dict(row), column), row.get(label)) for row in rows]
    both = [(_said(a), _said(b)) for a, b in pairs if a is not None and b is not None]
    if not both:
        raise InputError(
            f"of {counted(len(rows))} none has both {column} and a '{label}'; see --label"
        )
    judged, labels = zip(*both, strict=True)
    found = agreement(judged, labels)
    verdicts = [look(dict(row), column.rpartition(".")[0]) or {} for row in rows]
    steady = [one.get("is_consistent") for one in verdicts]
    told = [one for one in steady if one is not None]
    return {
        "column": column,
        "rows": len(rows),
        "compared": len(both),
        "agreement_rate": found.rate,
        "kappa": found.kappa.mean,
        "low": found.kappa.low,
        "high": found.kappa.high,
        "order_bias_rate": told.count(False) / len(told) if told else None,
        "some": _some(rows, pairs, steady),
        "by_length": _by_length(verdicts, [row.get(label) for row in rows]),
    }


def _some(
    rows: Sequence[Mapping[str, Any]], pairs: Sequence[tuple[Any, Any]], steady: Sequence[Any]
) -> dict[str, list[tuple[str, str, str]]]:
    """Return some rows of each kind by id, with what judge and label say of them."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for row, (judged, label), is_steady in zip(rows, pairs, steady, strict=True):
        if judged is not None and label is not None:
            said = str(row.get("id")), _said(judged), _said(label)
            found.setdefault("agreed" if said[1] == said[2] else "not agreed", []).append(said)
            if is_steady is False:
                found.setdefault("the order decided", []).append(said)
    return {kind: ones[:SHOWN] for kind, ones in sorted(found.items())}


def _by_length(
    verdicts: Sequence[Mapping[str, Any]], labels: Sequence[Any]
) -> list[dict[str, Any]]:
    """Return how often the longer answer wins, by the judge and by the labels, on the same rows."""
    both = [
        ([verdict[name] for name in calibration.LENGTHS], _said(label))
        for verdict, label in zip(verdicts, labels, strict=True)
        if verdict.get("winner") and "chosen_chars" in verdict and _said(label) in WON
    ]
    judged = by_length((a, b, winner) for (a, b, winner), _ in both)
    labelled = by_length((a, b, label) for (a, b, _), label in both)
    return [
        {**one, "labels": other["longer_wins"]} for one, other in zip(judged, labelled, strict=True)
    ]


def _said(value: Any) -> str:
    return str(value).strip().lower()


def _tell(found: Mapping[str, Any], screen: Screen) -> None:
    screen.line(f"{found['compared']:,} of {counted(found['rows'])} compared, by {found['column']}")
    screen.line(f"agreement {found['agreement_rate']:.1%}")
    screen.line(f"kappa {found['kappa']:.3f}, 95 %: {found['low']:.3f} to {found['high']:.3f}")
    if found["order_bias_rate"] is not None:
        screen.line(f"the order decided in {found['order_bias_rate']:.1%}")
    for one in found["by_length"]:
        screen.line(
            f"of {counted(one['pairs'], 'pair')} with the other answer {one['difference']} shorter "
            f"the longer one wins {one['longer_wins']:.0%}, by the labels {one['labels']:.0%}"
        )
