"""Numbers with a unit: `5 km`, `25 cm^2`, `18 eggs`, `€5`, `30°`."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_CHARS = 300
"""Longer texts are none."""
_MONEY = r"(?:[A-Z]{1,2})?\\?\$|[€£¥₹₩]|USD|EUR|GBP|JPY|INR|CHF|Rs\.?"
_SIGN = r"\^?\{?\\circ\}?|[€£¥₹₩¢°]"
_POWER = r"\^?\{?[23]\}?(?!\d)|[²³]"
SIGNS = {
    "$": "dollar", "US$": "dollar", "USD": "dollar", "€": "euro", "EUR": "euro", "£": "pound",
    "GBP": "pound", "¥": "yen", "JPY": "yen", "₹": "rupee", "INR": "rupee", "Rs": "rupee",
    "₩": "won", "¢": "cent", "CHF": "franc",
}  # fmt: skip
"""What stands for a unit; a circle is a degree, and `A$` a dollar of its own."""
MEASURE = re.compile(
    r"(?P<number>.*(?:[\d%})]|\\pi))(?P<gap>\s*)(?P<unit>[a-zA-Z][a-zA-Z /]*?)\s*"
    rf"(?P<power>{_POWER})?(?P<of>(?:/| per )[a-zA-Z]+)?"
)
BEFORE = re.compile(rf"([-\u2212+]?)\s*({_MONEY})\s*([-\u2212]?[\d.\\][^$]*)")
BEHIND = re.compile(r"([^$]*[^$\s\\])\s*\\?\$")
MONEY = re.compile(rf"(?:{_MONEY})\s*$")
TAIL = re.compile(
    rf"\$? ?(?:\\[a-z]+\{{)? ?(?P<unit>(?:{_SIGN})(?: ?[CF]\b)?|"
    r"and (?:an?|one|two|three|\d+/\d+) (?:half|halves|thirds?|quarters?|[a-z]+ths?)\b[^\n.,;$]*|"
    r"(?:(?:square|sq|cubic) )?(?P<word>[a-zA-Z]+)"
    rf"(?: (?:squared|cubed|celsius|fahrenheit)\b| ?(?:{_POWER}))?"
    rf"(?:(?: ?/ ?| per )[a-zA-Z]+)?)(?:\}}(?:{_POWER})?)?",
    re.IGNORECASE,
)
PLURAL = re.compile(r"(?<=ch)es$|(?<=[a-z]{2})s$")
UNITS = frozenset({
    "mm", "cm", "km", "inch", "ft", "foot", "feet", "yard", "mile", "meter", "metre",
    "centimeter", "centimetre", "kilometer", "kilometre", "mg", "kg", "gram", "kilogram", "lb",
    "pound", "oz", "ounce", "ton", "sec", "second", "min", "minute", "hr", "hour", "day",
    "week", "month", "year", "ml", "liter", "litre", "gallon", "mph", "dollar", "cent",
    "euro", "yen", "rupee", "won", "franc", "degree",
})  # fmt: skip
"""Units that a bare number may leave out. Other words may be part of the number: `5 million`."""
SCALES = frozenset({
    "hundred", "thousand", "million", "billion", "trillion", "lakh", "crore", "dozen", "gross",
    "percent", "percentage", "half", "halve", "third", "quarter", "fifth", "tenth",
    "hundredth", "thousandth", "pi", "squared", "cubed", "factorial",
})  # fmt: skip
"""Words that make another number of the one before them."""
ORDINALS = frozenset({"st", "nd", "rd", "th"})


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
        head = re.split(r"[\^/]", self.unit)[0]
        return re.sub(r"^degree (?:c|f|celsius|fahrenheit)$", "degree", head) in UNITS

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
    unit = found["unit"].lower()
    for word, such in (("square", "2"), ("sq", "2"), ("cubic", "3")):
        if unit.startswith(f"{word} "):
            unit, power = unit.removeprefix(f"{word} "), power or such
    for word, such in ((" squared", "2"), (" cubed", "3")):
        if unit.endswith(word):
            unit, power = unit.removesuffix(word), power or such
    parts = re.split(r" ?/ ?| per ", unit)
    of = re.sub("/| per ", "", found["of"] or "")
    first, *rest = (singular(part) for part in [*parts, *filter(None, [of])])
    return Measure(
        found["number"],
        "/".join([first + (f"^{power}" if power else ""), *rest]),
        bool(found["gap"]),
    )


def singular(word: str) -> str:
    """Return a unit in its dictionary form."""
    return PLURAL.sub("", word.strip().lower())


def spelled(text: str) -> str:
    """Return an amount with its sign as a word behind it: `€5` is `5 euro`, `30°` `30 degree`."""
    text = text.strip()
    if found := BEFORE.fullmatch(text):
        return f"{found[1]}{found[3]} {_name(found[2])}"
    if found := BEHIND.fullmatch(text):
        return f"{found[1]} dollar"
    return re.sub(rf"(?<!\s)\s*+({_SIGN})", lambda sign: f" {_name(sign[1])} ", text).strip()


def _name(sign: str) -> str:
    bare = sign.replace("\\", "").rstrip(".")
    return SIGNS.get(bare) or (f"{bare[:-1].lower()} dollar" if bare[-1] == "$" else "degree")


def end_of_unit(text: str, at: int, *, any_word: bool) -> int:
    """Return where the unit of a number that ends at `at` ends; `at` itself without one.

    `any_word` takes whatever word stands there, not only what is known or changes the number.
    """
    found = TAIL.match(text, at, at + MAX_CHARS)
    if not found:
        return at
    word = found["word"]
    if word is None or any_word:
        return found.end()
    is_close = text[at : found.start("word")] == "" and word.lower() not in ORDINALS
    is_area = text[at : found.start("word")].strip().lower() in {"square", "sq", "cubic"}
    is_known = singular(word) in UNITS | SCALES
    return found.end() if is_close or is_area or is_known else at
