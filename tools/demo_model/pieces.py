"""What list and text tasks are composed of: conditions, changes and results.

Every piece has the code it becomes, several wordings, and a stem for the function's name. `{x}` is
the element, `{k}`, `{a}`, `{b}` are parameters.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Piece:
    """One step of a pipeline, parameters filled in."""

    code: str
    words: tuple[str, ...]
    stem: str


Table = dict[str, list[Any]]
TABLES: dict[str, Table] = yaml.safe_load(
    Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
)


def piece(rng: random.Random, kinds: Table, x: str) -> Piece:
    """Draw a piece and its parameters."""
    stem = rng.choice(sorted(kinds))
    code, words = kinds[stem]
    a = rng.randint(0, 6)
    values = {
        "x": x,
        "k": rng.randint(2, 4)
        if stem in ("times", "mod", "multiple", "no_multiple")
        else rng.randint(1, 9),
        "a": a,
        "b": a + rng.randint(1, 5),
        "n": rng.randint(2, 4),
        "m": rng.randint(3, 6),
        "c": rng.choice("abcdefghiklmnoprstuw"),
        "d": rng.choice("abcdefghiklmnoprstuw"),
        "p": rng.choice("-+*.!?_#:~"),
    }
    return Piece(code.format(**values), tuple(w.format(**values) for w in words), stem)
