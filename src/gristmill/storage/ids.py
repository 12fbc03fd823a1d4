"""Names made from content: row ids, draw numbers, keys. Nothing here depends on time or order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import orjson

_SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


def digest(*parts: Any) -> str:
    """Return 32 hex digits naming JSON-like values; integers up to 64 bits."""
    return blake2b(orjson.dumps(parts, option=_SORTED), digest_size=16).hexdigest()


def seed_ids(contents: Iterable[Any]) -> list[str]:
    """Name every seed by its content and its occurrence, so that equal seeds stay apart."""
    seen: Counter[str] = Counter()
    ids = []
    for content in contents:
        name = digest(content)
        ids.append(digest(name, seen[name]))
        seen[name] += 1
    return ids


def child_id(parents: Sequence[str], label: str, round_: int, number: int) -> str:
    """Name a row by its parents, the stage and round that made it, its place among the children."""
    return digest(parents, label, round_, number)


def draw(
    seed: int, label: str, round_: int, row_id: str, branch: Sequence[int], number: int
) -> int:
    """Return the draw of a sampled call: 60 bits, the same in every run."""
    return int(digest(seed, label, round_, row_id, branch, number)[:15], 16)
