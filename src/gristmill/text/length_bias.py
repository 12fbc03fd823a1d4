"""Length bias of a judge: how often it prefers the longer of two answers, by how much longer it is.

Source: Dubois et al., "Length-Controlled AlpacaEval", arXiv:2404.04475, section 2 (what judges give
for length alone).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

LIMITS = (0.1, 0.25, 0.5)
"""Where ranges end: shares of the longer answer by which the other one is shorter."""
RANGES = ("under 10 %", "10 to 25 %", "25 to 50 %", "50 % and more")
WON = {"chosen": 1.0, "rejected": 0.0, "tie": 0.5}
Judged = tuple[int, int, str]
"""Characters of `chosen` and of `rejected`, and the winner."""


class Measured(TypedDict):
    """The lengths of a pair, as its verdict keeps them."""

    chosen_chars: int
    """Length of `chosen`, in characters."""
    rejected_chars: int


class LengthRange(TypedDict):
    """The pairs whose answers differ by so much."""

    difference: str
    pairs: int
    longer_wins: float
    """Share (0..1) of them that the longer answer wins; a tie is half a win."""


def measured(chosen: str | None, rejected: str | None) -> Measured:
    """Return the lengths of both answers; one that is missing has none."""
    return Measured(chosen_chars=len(chosen or ""), rejected_chars=len(rejected or ""))


def range_of(chosen_chars: int, rejected_chars: int) -> str | None:
    """Return the range of two lengths; None where they are equal.

    >>> range_of(100, 80)
    '10 to 25 %'
    """
    if chosen_chars == rejected_chars:
        return None
    share = abs(chosen_chars - rejected_chars) / max(chosen_chars, rejected_chars)
    return RANGES[sum(share >= limit for limit in LIMITS)]


def by_length(judged: Iterable[Judged]) -> list[LengthRange]:
    """Return the win rate of the longer answer in every range that has pairs.

    Pairs of equal lengths and those without one of the three winners are left out.

    >>> by_length([(100, 40, "chosen"), (30, 90, "tie")])
    [{'difference': '50 % and more', 'pairs': 2, 'longer_wins': 0.75}]
    """
    wins: dict[str, list[float]] = {name: [] for name in RANGES}
    for chosen, rejected, winner in judged:
        name = range_of(chosen, rejected)
        if name and winner in WON:
            wins[name].append(WON[winner] if chosen > rejected else 1 - WON[winner])
    return [
        LengthRange(difference=name, pairs=len(won), longer_wins=sum(won) / len(won))
        for name, won in wins.items()
        if won
    ]
