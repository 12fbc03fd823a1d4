"""How far to go: the seed prefix of the next wave, and when a run has enough. Pure functions."""

from __future__ import annotations

import math
from typing import Literal

from gristmill.pipelines.recipe import Recipe

Stop = Literal["target", "seeds", "budget", "yield", "error_rate"]

PROBE = 32
"""Seeds of a first wave under a budget, at most: what a seed costs is not known before it."""


def next_wave(recipe: Recipe, end: int, n_seeds: int, n_found: int, tokens: int) -> int:
    """Return where the wave after `end` ends: 10 % of the seeds, then what the yield asks for.

    With a yield of 0 the prefix doubles. A budget pays for what the seeds so far cost on average.
    """
    limit, tenth = recipe.budget.tokens, max(1, math.ceil(n_seeds / 10))
    if recipe.target is None and limit is None:
        return n_seeds
    if not end:
        return min(tenth, PROBE) if limit else tenth
    more = end if recipe.target else tenth
    if recipe.target and n_found:
        more = math.ceil((recipe.target - n_found) * end / n_found * 1.1)
    if limit and tokens:
        more = min(more, max(1, (limit - tokens) * end // tokens))
    return min(n_seeds, end + more)


def stop_after(recipe: Recipe, n_found: int, tokens: int, *, is_last: bool) -> Stop | None:
    """Say why a run ends after a wave or a round, or None to go on."""
    if recipe.target is not None and n_found >= recipe.target:
        return "target"
    if is_last:
        return "seeds"
    limit = recipe.budget.tokens
    return "budget" if limit is not None and tokens >= limit else None


def stop_for_yield(recipe: Recipe, n_in: int, n_accepted: int) -> Stop | None:
    """Say whether a round gave too little for another one to be worth it."""
    limit = recipe.rounds.stop_when.accepted_rate_below if recipe.rounds else 0
    return "yield" if n_accepted < limit * n_in else None
