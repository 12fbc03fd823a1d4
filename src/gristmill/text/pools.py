"""What a stage takes from the pool, which grows from round to round."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc


class Chance(Protocol):
    """What draws: `random.Random`."""

    def sample(self, population: Sequence[int], k: int) -> list[int]:
        """Return k of them, each once."""
        ...

    def shuffle(self, x: list[str]) -> None:
        """Put them in an order of chance."""
        ...


def mixed(pool: pa.Table, own: str, shots: int, made_shots: int, rng: Chance) -> list[str]:
    """Return the row's own task among others of the pool, in an order of chance.

    Args:
        pool: Columns `instruction` and `round`: 0 is what people wrote.
        own: The row's own task: always there, so that lineage is true.
        shots: How many tasks in all; fewer when the pool has no more.
        made_shots: How many of them a model made, at most; people wrote the others.
        rng: Draws without putting back.
    """
    by_people = pc.equal(pool["round"], 0)
    made = pool.filter(pc.invert(by_people))["instruction"]
    seeds = pool.filter(pc.and_(by_people, pc.not_equal(pool["instruction"], own)))["instruction"]
    shown = [own, *_sample(made, min(made_shots, shots - 1), rng)]
    shown += _sample(seeds, shots - len(shown), rng)
    rng.shuffle(shown)
    return shown


def rows_where(pool: pa.Table, path: str, **equals: str | int) -> pa.Table:
    """Return the rows with these values in which a truth value under a dotted path is so."""
    head, *inner = path.split(".")
    is_so = pc.fill_null(pc.struct_field(pool[head], inner), False)
    for name, value in equals.items():
        is_so = pc.and_(is_so, pc.equal(pool[name], value))
    return pool.filter(is_so)


def values(pool: pa.Table, path: str) -> list[Any]:
    """Return what stands under a dotted path, (n,), None where nothing does; `meta` is JSON."""
    head, *inner = path.split(".")
    found: list[Any] = pool[head].to_pylist()
    if head == "meta":
        found = [json.loads(text) for text in found]
    for name in inner:
        found = [one and one.get(name) for one in found]
    return found


def _sample(texts: Any, k: int, rng: Chance) -> list[str]:
    return [texts[i].as_py() for i in rng.sample(range(len(texts)), k=min(k, len(texts)))]
