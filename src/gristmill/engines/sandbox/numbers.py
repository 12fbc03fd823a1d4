"""Numbers that a program gives for calls, as texts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.engines.sandbox.values import Encoded

LARGEST = 10**15
"""Beyond it a float is no exact integer, and nothing that a problem counts."""


def written(value: Encoded | None) -> str | None:
    """Return a number with at most 6 decimals, an integer without a point; None for no number."""
    match value:
        case ["i", str(text)] if len(text) < 20:
            number: float = int(text, 16)
        case ["f", str(text)]:
            number = float.fromhex(text)
        case _:
            return None
    if not math.isfinite(number) or abs(number) > LARGEST:
        return None
    short = f"{number:.6f}".rstrip("0").rstrip(".") if isinstance(number, float) else str(number)
    return "0" if short == "-0" else short


def asking(code: str, calls: Sequence[str], timeout_s: float) -> Program:
    """Return the program that is asked for the results of calls."""
    return Program(code, calls=tuple(calls) or ("None",), timeout_s=timeout_s)


def given(verdict: Verdict, n: int) -> list[str | None]:
    """Return the numbers that n calls gave, None where there is none."""
    return [written(value) for value in verdict.values[:n]] or [None] * n


def named(value: Encoded | None) -> dict[str, float] | None:
    """Return the numbers of a dict by their names; None for anything else, or one not finite."""
    match value:
        case ["d", *pairs]:
            found = {key[1]: float.fromhex(number[1]) for key, number in pairs
                     if key[0] == "s" and number[0] == "f"}  # fmt: skip
            whole = len(found) == len(pairs) and all(map(math.isfinite, found.values()))
            return found if whole else None
    return None
