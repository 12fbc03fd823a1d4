"""What a program printed, compared with what it should print, outside its process.

Lines are compared one by one; white space at the end of a line and empty lines at the end of the
output do not count, everything else does. With a tolerance a line is compared word by word, and
a number that is expected with a decimal point or an exponent may be off by that much.
"""

from __future__ import annotations

import math
import re
from itertools import zip_longest

FLOAT = re.compile(r"[+-]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][+-]?\d+)?")
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def difference(expected: str, found: str, tolerance: float = 0.0) -> str | None:
    """Return the first line that differs, in words, or None when the outputs agree."""
    pairs = zip_longest(lines(expected), lines(found))
    for i, (wanted, given) in enumerate(pairs, 1):
        if given is None:
            return f"line {i}: expected {wanted!r:.200}, found the end"
        if wanted is None:
            return f"line {i}: expected the end, found {given!r:.200}"
        if wanted != given and not (tolerance and is_near(wanted, given, tolerance)):
            return f"line {i}: expected {wanted!r:.200}, found {given!r:.200}"
    return None


def lines(text: str) -> list[str]:
    """Return the lines that count."""
    found = [line.rstrip() for line in text.split("\n")]
    while found and not found[-1]:
        found.pop()
    return found


def is_near(wanted: str, given: str, tolerance: float) -> bool:
    """Compare two lines word by word, decimal numbers with a tolerance."""
    left, right = wanted.split(), given.split()
    return len(left) == len(right) and all(
        a == b or _is_near(a, b, tolerance) for a, b in zip(left, right, strict=True)
    )


def _is_near(wanted: str, given: str, tolerance: float) -> bool:
    if not FLOAT.fullmatch(wanted) or not NUMBER.fullmatch(given):
        return False
    return math.isclose(float(wanted), float(given), rel_tol=0, abs_tol=_room(wanted, tolerance))


def _room(wanted: str, tolerance: float) -> float:
    return tolerance * max(1.0, abs(float(wanted)))
