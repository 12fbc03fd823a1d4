"""Does a recipe's selection pay? The same small model, trained on it, on chance and on everything.

Some seeds are held out before the recipe runs. What reached its first selector is the pool: random
subsets, as large as the selection, come from there, so that all that differs is the choice. Every
arm is trained once per seed; losses on the rows held out are compared row by row and seed by seed.
Rows are counted, not tokens: a selector of long answers trains on more of them, which is told.
Where the rows held out have tests, the trained models also do their tasks (`solving.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gristmill.engines.client import Client
from gristmill.engines.loop import block
from gristmill.engines.named import build_engines
from gristmill.engines.trainer import Trainer
from gristmill.engines.training import Pair, Train, Trained, pair
from gristmill.errors import InputError, RecipeError
from gristmill.flows.solving import Solver
from gristmill.formats.readers import Seeds, SeedSpec, read
from gristmill.geometry.bootstrap import paired
from gristmill.geometry.picks import Numbers, drawn
from gristmill.pipelines.recipe import Recipe
from gristmill.pipelines.seeds import read_seeds
from gristmill.publishing.files import RunFiles
from gristmill.storage.answers import Answers
from gristmill.storage.ids import digest
from gristmill.storage.rows import Row, look
from gristmill.storage.shards import lock
from gristmill.text.plurals import counted
from gristmill.text.turns import turns

TRAINER = {"use": "trainer", "epochs": 3, "learning_rate": 5e-4, "batch_size": 16}
"""For a model of a few million parameters; what the recipe says about its trainer comes first."""
Arms = dict[str, tuple[Pair, ...]]
Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Split:
    """Seeds for the recipe, and rows to measure on."""

    seeds: Seeds
    held_out: tuple[Pair, ...]
    repeated: int
    """Seeds left out because they say what a held-out row says."""
    tests: Mapping[str, Any]
    """The tests of every held-out row by its id; none unless they were asked for."""


def split(recipe: Recipe, n: int, test: str | None = None, tests: str | None = None) -> Split:
    """Hold out `n` seeds with an answer, half of them at most, or read the rows to measure on.

    Which ones is a matter of their ids and the recipe's seed. With `tests`, the name of a column,
    only rows that have something there are held out.
    """
    seeds = read_seeds(recipe)
    other = read(SeedSpec(path=test, map=recipe.seeds.map)) if test else None
    source = other or seeds
    order = drawn(pa.table({"id": pa.array(source.ids, pa.string())}), recipe.seed).tolist()
    judged = [i for i in order if not tests or look(source.rows[i], tests)]
    found = {key: made for i in judged if (made := _pair(source.ids[i], source.rows[i]))
             for key in [_said(source.rows[i])]}  # fmt: skip
    n = len(found) if other else min(n, len(found) // 2)
    if not n:
        raise InputError(
            f"{counted(len(source.rows))} of {test or recipe.name}: "
            f"{counted(len(found), 'answer')} to measure on"
            f"{f', with something in {tests}' if tests else ''}; name a file of rows "
            "with answers by --test"
        )
    held_out = dict(list(found.items())[:n])
    stays = [i for i, row in enumerate(seeds.rows) if _said(row) not in held_out]
    left = replace(
        seeds,
        rows=[seeds.rows[i] for i in stays],
        ids=[seeds.ids[i] for i in stays],
        notes=[*seeds.notes, f"held out to measure on: {counted(len(seeds.rows) - len(stays))}"],
    )
    gone = len(seeds.rows) - len(stays)
    by_id = dict(zip(source.ids, source.rows, strict=True)) if tests else {}
    judges = {held.id: look(by_id[held.id], tests) for held in held_out.values() if tests}
    return Split(left, tuple(held_out.values()), gone - (0 if other else n), judges)


def arms_of(run: RunFiles, n_seeds: int) -> list[Arms]:
    """Return what to train on for every seed: `selected`, `random` and `everything`.

    Rows that say the same count once. `everything` is what reached the first selector, or, without
    one, every row that was not made into others.
    """
    first = min(
        (i for label, i in run.places.items() if run.uses.get(label, "").startswith("selectors.")),
        default=-1,
    )
    ends = run.rows.filter(run.rows["end"] != "expanded")
    there = [
        id_ for id_, at in zip(ends["id"], ends["end_at"], strict=True)
        if run.places.get(at, len(run.places)) >= first
    ]  # fmt: skip
    kept = _pairs(run.last_of(run.kept.to_list()))
    pool = {**_pairs(run.last_of(there)), **kept}
    if not 0 < len(kept) < len(pool):
        raise RecipeError(
            f"'{run.name}' kept {len(kept):,} of {counted(len(pool))} with an answer; a selection "
            "keeps some and leaves some: change its k, such as --set stages.-1.k=100"
        )
    everything, chosen = tuple(pool.values()), tuple(kept.values())
    table = pa.table({"id": [found.id for found in everything]})
    arms = []
    for seed in range(n_seeds):
        by_chance = tuple(everything[i] for i in drawn(table, seed)[: len(chosen)])
        arms.append({"selected": chosen, "random": by_chance, "everything": everything})
    return arms


def measure(
    arms: Sequence[Arms],
    found: Split,
    trainer: Trainer,
    folder: Path,
    tell: Tell,
    solver: Solver | None = None,
) -> dict[str, Any]:
    """Train every arm with every seed in the workspace `folder`; return a line of the table.

    With a solver, pass rates are in it.
    """
    wanted = [(name, seed) for seed in range(len(arms)) for name in arms[0]]
    requests = [Train(arms[seed][name], found.held_out, seed) for name, seed in wanted]
    with (
        lock(folder / ".gristmill" / "lock"),
        closing(Answers(folder / ".gristmill" / "answers.sqlite")) as answers,
    ):
        client = Client(trainer.in_workspace(folder), answers)
        made = block(_train(client, requests, tell))
        passed = {}
        if solver:
            models = [trained.model for trained in made]
            solved = block(solver.solve(models, found.held_out, found.tests, answers))
            passed = {name: solved[i :: len(arms[0])] for i, name in enumerate(arms[0])}
    trained = dict(zip(wanted, made, strict=True))
    ids = sorted(held.id for held in found.held_out)
    every = {name: np.array([_losses(trained[name, s], ids) for s in range(len(arms))])
             for name in arms[0]}  # fmt: skip
    scored = ~np.isnan(every["selected"]).any(axis=0)
    if not scored.any():
        n = counted(len(ids), "held-out row")
        raise InputError(f"of {n} none fits the trainer's max_model_len")
    losses = {name: values[:, scored] for name, values in every.items()}
    told = {
        "held_out": int(scored.sum()),
        "seeds": len(arms),
        "before": float(_losses(made[0], ids, first=True)[scored].mean()),
        "arms": {
            name: {
                "rows": len(arms[0][name]),
                "tokens": int(np.mean([trained[name, s].n_tokens for s in range(len(arms))])),
                "loss": float(values.mean()),
                "losses": values.mean(axis=1).tolist(),
            }
            for name, values in losses.items()
        },
        "against": _against(losses),
    }
    return told | ({"passes": _passes(passed)} if passed else {})


def _passes(passed: Mapping[str, Numbers]) -> dict[str, Any]:
    """Return pass rates, 0..1, from what passed by arm: (seeds, rows)."""
    rates = {name: float(values.mean()) for name, values in passed.items()}
    return {"tasks": passed["selected"].shape[1], "rates": rates, "against": _against(passed)}


def _against(values: Mapping[str, Numbers]) -> dict[str, Any]:
    """Return the intervals of what was selected minus the others: (seeds, rows) by arm."""
    others = ("random", "everything")
    return {name: asdict(paired(values["selected"], values[name])) for name in others}


def trainer_of(recipe: Recipe) -> Trainer:
    """Return the trainer of the proof, checked: the recipe's own, or one for a small model."""
    entry = {**TRAINER, **recipe.engines.get("trainer", {})}
    if entry["use"] != "trainer":
        raise RecipeError(f"engines.trainer must be {{use: trainer}}, found use: {entry['use']}")
    made: Any = build_engines(recipe.name, {"trainer": entry})["trainer"]
    made.check()
    return made  # type: ignore[no-any-return]


async def _train(client: Client, requests: Sequence[Train], tell: Tell) -> list[Trained]:
    done = 0

    async def one(request: Train) -> Trained:
        nonlocal done
        _, trained = await client.ask(request)
        done += 1
        tell(done, len(requests))
        return trained  # type: ignore[no-any-return]

    try:
        return list(await asyncio.gather(*map(one, requests)))
    finally:
        await client.stop()


def _losses(trained: Trained, ids: Sequence[str], *, first: bool = False) -> Numbers:
    """Return the loss of every row, (r,), after training or before it; NaN: it did not fit."""
    lines = trained.losses.to_pylist()
    last = 0 if first else max(line["checkpoint"] for line in lines)
    found = {line["id"]: line["nll"] for line in lines if line["checkpoint"] == last}
    return np.array([found[id_] for id_ in ids], np.float64)


def _pairs(rows: Iterable[Row]) -> dict[str, Pair]:
    """Return the answers by what their rows say, in order of id."""
    made = ((_said(row), _pair(row["id"], row)) for row in sorted(rows, key=lambda row: row["id"]))
    return {said: found for said, found in made if found}


def _pair(id_: str, row: Row) -> Pair | None:
    return pair(id_, turns(row))


def _said(row: Row) -> str:
    return digest(turns(row))
