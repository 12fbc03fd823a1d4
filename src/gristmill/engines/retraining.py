"""Between rounds: the model of a role, trained on what the rounds so far accepted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from gristmill.engines.base import Engine
from gristmill.engines.client import Client
from gristmill.engines.training import Pair, Train, Trained
from gristmill.errors import RecipeError

log = logging.getLogger(__name__)


def check(role: str, engines: Mapping[str, Engine], called: Collection[str]) -> None:
    """Refuse to train what nobody asks, or what has no model that could be trained."""
    if role not in engines:
        raise RecipeError(
            f"rounds.train names '{role}', but engines has only {sorted(engines)}; name one of them"
        )
    if role not in called:
        raise RecipeError(
            f"rounds.train trains '{role}', but no stage calls it; name one of {sorted(called)}"
        )
    if not engines[role].trainable:
        raise RecipeError(
            f"rounds.train trains '{role}', but {type(engines[role]).__name__} has no causal "
            "language model of its own; use: vllm or use: logprobs there, or leave train out"
        )
    trainer = engines.get("trainer")
    if trainer is None or "train" not in trainer.ops:
        raise RecipeError(
            f"rounds.train needs engines.trainer to train, found {type(trainer).__name__}; "
            "set it to {use: trainer}"
        )


def check_ranked(place: str | None, types: Collection[str]) -> None:
    """Refuse a place that has no candidates or no scores of them."""
    wanted = [f"{place}.{name}" for name in ("candidates", "scores")] if place else []
    if missing := [name for name in wanted if name not in types]:
        ranked = sorted(name for name in types if name.endswith(".candidates"))
        raise RecipeError(
            f"rounds.ranked names '{place}', but no stage writes {missing}; candidates are in "
            f"{ranked}, as `generators.iter_rtl` writes them"
        )


async def retrain(
    role: str,
    clients: Mapping[str, Client],
    found: Sequence[Pair | None],
    seed: int,
    host: Callable[[Engine], Engine],
) -> Trained | None:
    """Train the model that the recipe names and let the role answer with the outcome.

    None when there is nothing to train on: the role stays as it is.
    """
    client, trainer = clients[role], clients["trainer"]
    pairs = tuple(pair for pair in found if pair)
    if not pairs:
        log.warning("role=%s rows=%d, none of them to train on", role, len(found))
        return None
    base: Any = getattr(client.base, "engine", client.base)
    await client.stop()  # the trainer needs the memory
    _, trained = await trainer.ask(Train(pairs, (), seed, base.model, base.revision))
    await trainer.stop()
    changes = {**base.model_dump(), "model": trained.model, "revision": None}
    await client.become(host(type(base)(**changes)))
    log.info("role=%s rows=%d model=%s", role, len(pairs), trained.model)
    return trained  # type: ignore[no-any-return]
