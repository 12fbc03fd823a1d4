"""Prices of a recipe, and what a run cost by them. They change no row and are in no key."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from gristmill.publishing.files import RunFiles

ELSEWHERE = frozenset({"openai", "scripted", "sandbox"})
"""Engines that hold no processor of their own."""


class Prices(BaseModel):
    """What an hour and what tokens cost, in one currency."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hour: float = Field(default=0.0, ge=0)
    """Of one GPU, or of one engine process without one, from the start of a command to its end."""
    million_tokens: dict[str, float] = {}
    """By role: of the tokens that its model was asked for, read and written; replays are free."""
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")


def costs(run: RunFiles) -> Iterator[tuple[str, float]]:
    """Yield engine-hours where engines were used, and the cost where the recipe has prices.

    Sums over the commands on the run: one that only replays held no engine and paid nothing.
    """
    hours, tokens = 0.0, Counter[str]()
    for bill in run.bills:
        # Bills did not always name roles; the ledger has those of the last command.
        roles = bill.get("roles") or run.note.get("roles") or {}
        hours += bill["wall_s"] / 3600 * _devices(run, roles)
        tokens.update({role: told.get("tokens") or 0 for role, told in roles.items()})
    if hours:
        yield "engine time, h", hours
    if given := run.recipe.get("prices"):
        prices = Prices.model_validate(given)
        paid = sum(n / 1e6 * prices.million_tokens.get(role, 0.0) for role, n in tokens.items())
        yield f"cost, {prices.currency}", hours * prices.hour + paid


def _devices(run: RunFiles, roles: Mapping[str, Mapping[str, Any]]) -> int:
    """Return how many GPUs, or engine processes without one, a command held for its roles.

    Roles with the same engine share it; where models hand over, no more of them than fit are held.
    """
    engines = run.recipe.get("engines") or {}
    asked = [engines[role] for role, told in roles.items() if role in engines and told.get("made")]
    held = {json.dumps(e, sort_keys=True): e for e in asked if e.get("use") not in ELSEWHERE}
    each = (
        int(e.get("replicas", 1)) * int(e.get("tensor_parallel_size", 1)) for e in held.values()
    )
    return sum(sorted(each, reverse=True)[: run.recipe.get("slots")])
