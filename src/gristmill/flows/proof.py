"""Does a recipe's selection pay? The same small model, trained on it, on chance and on everything.

Some seeds are held out before the recipe runs. What reached its first selector is the pool: random
subsets, as large as the selection, come from there, so that all that differs is the choice. Every
arm is trained once per seed; losses on the rows held out are compared row by row and seed by seed.
Rows are counted, not tokens: a selector of long answers trains on more of them, which is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
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
from gristmill.formats.readers import Seeds, SeedSpec, read
from gristmill.geometry.bootstrap import paired
from gristmill.geometry.picks import Numbers, drawn
from gristmill.pipelines.recipe import Recipe
from gristmill.pipelines.seeds import read_seeds
from gristmill.publishing.files import RunFiles
from gristmill.storage.answers import Answers
from gristmill.storage.ids import digest
from gristmill.storage.rows import Row
from gristmill.storage.shards import lock
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


def split(recipe: Recipe, n: int, test: str | None = None) -> Split:
    """Hold out `n` seeds with an answer, half of them at most, or read the rows to measure on.

    Which ones is a matter of their ids and the recipe's seed.
    """
    seeds = read_seeds(recipe)
    other = read(SeedSpec(path=test, map=recipe.seeds.get("map") or {})) if test else None
    source = other or seeds
    order = drawn(pa.table({"id": pa.array(source.ids, pa.string())}), recipe.seed).tolist()
    found = {key: made for i in order if (made := _pair(source.ids[i], source.rows[i]))
             for key in [_said(source.rows[i])]}  # fmt: skip
    n = len(found) if other else min(n, len(found) // 2)
    if not n:
        raise InputError(
            f"the {len(source.rows)} rows of {test or recipe.name} have {len(found)} answers to "
            "measure on; name a file of rows with answers by --test"
        )
    held_out = dict(list(found.items())[:n])
    stays = [i for i, row in enumerate(seeds.rows) if _said(row) not in held_out]
    left = replace(
        seeds,
        rows=[seeds.rows[i] for i in stays],
        ids=[seeds.ids[i] for i in stays],
        notes=[*seeds.notes, f"{len(seeds.rows) - len(stays)} rows are held out to measure on"],
    )
    gone = len(seeds.rows) - len(stays)
    return Split(left, tuple(held_out.values()), gone - (0 if other else n))


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
            f"'{run.name}' kept {len(kept)} of {len(pool)} rows with an answer; a selection keeps "
            "some and leaves some: change its k, such as --set stages.-1.k=100"
        )
    everything, chosen = tuple(pool.values()), tuple(kept.values())
    table = pa.table({"id": [found.id for found in everything]})
    arms = []
    for seed in range(n_seeds):
        by_chance = tuple(everything[i] for i in drawn(table, seed)[: len(chosen)])
        arms.append({"selected": chosen, "random": by_chance, "everything": everything})
    return arms


def measure(
    arms: Sequence[Arms], held_out: tuple[Pair, ...], trainer: Trainer, folder: Path, tell: Tell
) -> dict[str, Any]:
    """Train every arm with every seed in the workspace `folder`; return a line of the table."""
    wanted = [(name, seed) for seed in range(len(arms)) for name in arms[0]]
    requests = [Train(arms[seed][name], held_out, seed) for name, seed in wanted]
    with (
        lock(folder / ".gristmill" / "lock"),
        closing(Answers(folder / ".gristmill" / "answers.sqlite")) as answers,
    ):
        client = Client(trainer.in_workspace(folder), answers)
        found = dict(zip(wanted, block(_train(client, requests, tell)), strict=True))
    ids = sorted(held.id for held in held_out)
    losses: dict[str, Numbers] = {}
    for name in arms[0]:
        losses[name] = np.array([_losses(found[name, s], ids) for s in range(len(arms))])
    scored = ~np.isnan(losses["selected"]).any(axis=0)
    if not scored.any():
        raise InputError(f"none of the {len(ids)} held-out rows fits the trainer's max_model_len")
    before = _losses(found[wanted[0]], ids, first=True)
    return {
        "held_out": int(scored.sum()),
        "seeds": len(arms),
        "before": float(before[scored].mean()),
        "arms": {
            name: {
                "rows": len(arms[0][name]),
                "tokens": int(np.mean([found[name, s].n_tokens for s in range(len(arms))])),
                "loss": float(values[:, scored].mean()),
                "losses": values[:, scored].mean(axis=1).tolist(),
            }
            for name, values in losses.items()
        },
        "against": {
            name: asdict(paired(losses["selected"][:, scored], losses[name][:, scored]))
            for name in ("random", "everything")
        },
    }


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
