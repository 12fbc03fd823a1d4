"""A composed task, and the inputs that its tests are made of."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Made:
    """One task: what it asks for, one way to solve it, and inputs to try it on."""

    stem: str
    """What its name is made of."""
    does: str
    """`returns the sum of ...`: third person, no full stop."""
    body: list[str]
    """Lines of a function, or of the body of a class."""
    say: str
    """The explanation in the response."""
    args: tuple[str, ...] = ()
    cases: list[Any] = field(default_factory=list)
    """Tuples of arguments for a function; lists of lines for a class."""
    steps: int = 1
    kind: str = "function"
    imports: tuple[str, ...] = ()
    """Lines above a function."""


def digits(rng: random.Random, low: int = 1, high: int = 4) -> list[int]:
    """Return a short list of single digits."""
    return [rng.randint(0, 9) for _ in range(rng.randint(low, high))]


def lists(rng: random.Random, high: int = 3) -> list[tuple[list[int]]]:
    """Return lists to try, the empty one among them."""
    return [*((digits(rng, 1, high),) for _ in range(6)), ([],)]


SOME = "abcdefghiklmnoprstuw"
NAMES = [
    "cat",
    "dog",
    "sun",
    "tree",
    "blue",
    "red",
    "stone",
    "apple",
    "river",
    "cloud",
    "bird",
    "moon",
    "fish",
    "lamp",
    "rain",
    "sand",
    "wolf",
    "leaf",
    "pear",
    "corn",
    "milk",
    "bread",
    "plum",
    "nut",
    "bee",
    "owl",
    "fox",
    "ant",
    "hen",
    "pig",
    "cow",
    "hat",
    "cup",
    "pen",
    "map",
    "box",
    "key",
    "door",
]


def letters(rng: random.Random, low: int = 1, high: int = 5, mixed: str = "") -> str:
    """Return a short text of lower case letters and what `mixed` adds."""
    if rng.random() < 0.3:
        return rng.choice(NAMES)
    return "".join(rng.choice(SOME + mixed) for _ in range(rng.randint(low, high)))


def texts(rng: random.Random, mixed: str = "") -> list[tuple[str]]:
    """Return texts to try, the empty one among them."""
    return [*((letters(rng, 1, 5, mixed),) for _ in range(6)), ("",)]


def words(rng: random.Random, low: int = 1, high: int = 3) -> list[str]:
    """Return a few short words."""
    return [rng.choice(NAMES) for _ in range(rng.randint(low, high))]


def wordlists(rng: random.Random) -> list[tuple[list[str]]]:
    """Return lists of words to try, the empty one among them."""
    return [*((words(rng, 1, 3),) for _ in range(5)), ([],)]
