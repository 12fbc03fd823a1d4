"""Numbers of a word problem as named slots: found, filled again, given other values.

A template is a text with `[[name]]` in the place of numbers. Every number is a count of its own
smallest unit, so that 12.50 stays an amount with two decimals.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal, TypedDict

from gristmill.text.fences import fenced
from gristmill.text.math_answers import clean, gold_of, number

MARK = re.compile(r"\[\[([a-z][a-z0-9_]{0,40})\]\]")
NUMBER = r"(?<!\w)(?<!\d[.,])(?:\d{1,3}(?:,\d{3})+|\d{1,12})(?:\.\d{1,6})?(?!\d|[.,]\d)"
LABEL = re.compile(
    r"(?i)\b(?:route|highway|flight|room|gate|chapter|grade|apartment|year|interstate)\s+"
    r"(?:no\.? |number |#)?$"
)
"""What stands before a number that names something and counts nothing."""
YEAR = re.compile(r"(?i)\b(?:in|since|of|until|by|from)\s+(?:19|20)\d\d$")
ORDINAL = re.compile(r"(?i)(?:st|nd|rd|th)\b|[- ]digit\b")
"""What makes the number before it no quantity."""
MOST = 10**12
"""Answers are smaller: as many digits as a slot has."""
Kind = Literal["integer", "decimal", "percent"]


@dataclass(frozen=True, slots=True)
class Slot:
    """One quantity: its name, and the number as the text has it."""

    name: str
    text: str
    kind: Kind

    @property
    def value(self) -> Decimal:
        """The number; 25 for 25%."""
        return Decimal(self.text.replace(",", ""))

    @property
    def decimals(self) -> int:
        """Digits behind the point."""
        return len(self.text.partition(".")[2])

    def written(self, value: Decimal) -> str:
        """Return a number as this one is written: its decimals, its thousands commas."""
        return f"{value:{',' if ',' in self.text else ''}.{self.decimals}f}"

    def other(self, between: Callable[[int, int], int]) -> Decimal | None:
        """Draw another value from half to twice this one; None where there is none.

        Percentages up to 100 stay so. What is more than one stays so: "1 apples" is none.
        `between(a, b)` gives an integer from a to b.
        """
        units = int(self.value.scaleb(self.decimals))
        high = 2 * units if units > 1 else units + 2
        if self.kind == "percent" and self.value <= 100:
            high = min(high, 100 * 10**self.decimals)
        low = min(max(units // 2, 2), units)
        if not units or low >= high:
            return None
        drawn = between(low, high - 1)
        return Decimal(drawn + (drawn >= units)).scaleb(-self.decimals)


Values = tuple[Decimal, ...]
"""A number for every slot, in their order."""


class Worked(TypedDict):
    """A problem with its program as the answer, and the assert that the right answer passes."""

    instruction: str
    output: str
    answer: str
    tests: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A question without its numbers."""

    template: str
    slots: tuple[Slot, ...]

    @property
    def own(self) -> Values:
        """The numbers of the question itself."""
        return tuple(slot.value for slot in self.slots)

    def texts(self, values: Values) -> dict[str, str]:
        """Return the numbers by name, as the question writes them."""
        return {s.name: s.written(v) for s, v in zip(self.slots, values, strict=True)}

    def question(self, values: Values) -> str:
        """Return the question with these numbers; with its own, the original."""
        texts = self.texts(values)
        return MARK.sub(lambda found: texts[found[1]], self.template)

    def call(self, values: Values) -> str:
        """Return the call of `solve` with these numbers."""
        named = zip(self.slots, values, strict=True)
        return f"solve({', '.join(f'{slot.name}={value:f}' for slot, value in named)})"

    def worked(self, code: str, values: Values, answer: str) -> Worked:
        """Return the columns of a row with these numbers, given a program and what it says."""
        call = self.call(values)
        return {
            "instruction": self.question(values),
            "output": fenced(f"{code}\n\nprint({call})"),
            "answer": answer,
            "tests": f"assert round({call}, 6) == {answer}",
        }

    def vary(self, mask: int, n: int, between: Callable[[int, int], int]) -> list[Values]:
        """Return up to n draws in which slot i has another number where bit i is set."""
        found: dict[Values, None] = {}
        for _ in range(n):
            drawn = [
                slot.other(between) if mask >> i & 1 else slot.value
                for i, slot in enumerate(self.slots)
            ]
            values = tuple(value for value in drawn if value is not None)
            if len(values) == len(drawn):
                found[values] = None
        return list(found)

    def keeps_order(self, values: Values) -> bool:
        """Say whether no number passed another one of its kind that was larger."""
        pairs = list(zip(self.slots, values, strict=True))
        return all(
            new <= larger
            for slot, new in pairs
            for other, larger in pairs
            if slot.kind == other.kind and slot.value < other.value
        )


def align(template: str, question: str) -> Problem | str:
    """Return the problem whose template gives the question, byte for byte; else why it does not.

    A name may come back; it then stands for the same number.
    """
    parts = MARK.split(template)
    names = parts[1::2]
    if not names:
        return "no slot"
    if not all(parts[2:-1:2]):
        return "two slots without a text between them"
    pattern, seen = re.escape(parts[0]), set[str]()
    for name, rest in zip(names, parts[2::2], strict=True):
        pattern += f"(?P={name})" if name in seen else f"(?P<{name}>{NUMBER})"
        pattern += re.escape(rest)
        seen.add(name)
    found = re.fullmatch(pattern, question)
    if found is None:
        return "the template with its numbers is not the question"
    slots = []
    for name in dict.fromkeys(names):
        if why := _label(question, found.start(name), found.end(name)):
            return f"{name}: {why}"
        slots.append(Slot(name, found[name], _kind(found[name], question[found.end(name) :])))
    return Problem(template, tuple(slots))


def _label(question: str, start: int, end: int) -> str | None:
    """Say why a number is no quantity; None if it may be one."""
    if LABEL.search(question, 0, start) or YEAR.search(question, 0, end):
        return f"{question[max(0, start - 20) : end]!r} is a name or a date"
    return "it is an ordinal" if ORDINAL.match(question, end) else None


def _kind(text: str, rest: str) -> Kind:
    if re.match(r"%| ?percent\b", rest):
        return "percent"
    return "decimal" if "." in text else "integer"


def answer_of(solution: str) -> str | None:
    """Return the answer that a solution marks as a plain number; None if it is none."""
    known = number(clean(gold_of(solution)).rstrip("%"))
    if not known or abs(known[0]) >= MOST:
        return None
    text = f"{float(known[0]):.6f}".rstrip("0").rstrip(".")
    return text if Fraction(text) == known[0] else None


def is_like(answer: str, other: str) -> bool:
    """Say whether another answer could be one to the same question: whole, its sign, its cents."""
    if not other or Decimal(answer) * Decimal(other) < 0:
        return False
    most = 2 if "." in answer else 0
    return len(other.partition(".")[2]) <= max(most, len(answer.partition(".")[2]))
