"""Numbers with a unit: `5 km`, `25 cm^2`, `18 eggs`."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_CHARS = 300
"""Longer texts are none."""
MEASURE = re.compile(
    r"(?P<number>.*[\d%])(?P<gap>\s*)(?P<unit>[a-zA-Z][a-zA-Z /]*?)\s*"
    r"(?P<power>\^?\{?[23]\}?|[²³])?"
)
PLURAL = re.compile(r"(?<=ch)es$|(?<=[a-z]{2})s$")
UNITS = frozenset({
    "mm", "cm", "km", "inch", "ft", "foot", "feet", "yard", "mile", "meter", "metre",
    "centimeter", "centimetre", "kilometer", "kilometre", "mg", "kg", "gram", "kilogram", "lb",
    "pound", "oz", "ounce", "ton", "sec", "second", "min", "minute", "hr", "hour", "day",
    "week", "month", "year", "ml", "liter", "litre", "gallon", "mph", "km/h", "dollar", "cent",
    "euro", "degree",
})  # fmt: skip
"""Units that a bare number may leave out. Other words may be part of the number: `5 million`."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A number as it is written, and its unit: lower case, singular, with its power."""

    number: str
    unit: str
    is_apart: bool
    """Whether a space stands between them."""

    @property
    def can_be_left_out(self) -> bool:
        """Say whether the number alone means the same."""
        return self.unit.partition("^")[0] in UNITS

    @property
    def is_word(self) -> bool:
        """Say whether it is more than one letter, which could be a variable."""
        return len(self.unit) > 1


def measure(text: str) -> Measure | None:
    """Return a text as a number with its unit; None for anything else."""
    found = MEASURE.fullmatch(text) if len(text) <= MAX_CHARS else None
    if not found:
        return None
    power = (found["power"] or "").translate(str.maketrans("²³", "23", "^{}"))
    unit = PLURAL.sub("", found["unit"].lower()) + (f"^{power}" if power else "")
    return Measure(found["number"], unit, bool(found["gap"]))
