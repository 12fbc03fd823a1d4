"""Equations between plain numbers in a worked solution, recomputed."""

from __future__ import annotations

import re
from fractions import Fraction

NUMBER = r"\$?(?:\d{1,3}(?:,\d{3})+|\d{1,15})(?:\.\d{1,9})?"
CHAIN = re.compile(
    rf"(?<![\w.,])(?P<left>{NUMBER}(?:\s*[-+*/x\u00d7\u00f7\u2212]\s*{NUMBER}){{1,20}})\s*=\s*"
    rf"(?P<right>-?{NUMBER})(?!\s*[+*/\u00d7\u00f7^(=]|\s*[-x\u2212]\s*\d|[\d%]|[.,]\d)"
)
"""Numbers joined by signs, and what they are said to be."""
OPEN = "-+*/x\u00d7\u00f7\u2212^=(%"
"""What stands before a chain that is only the end of a longer one, dollar signs aside."""
PART = re.compile(rf"{NUMBER}|[-+*/]")
SIGNS = str.maketrans("\u00d7\u00f7\u2212x", "*/-*")


def slips(text: str) -> list[str]:
    """Return the equations that do not hold, in order.

    A result with decimals may be rounded. What is not numbers alone is no equation.
    """
    return [
        found[0]
        for found in CHAIN.finditer(text)
        if not _is_open(text, found.start())
        and not _holds(found["left"].translate(SIGNS), _plain(found["right"]))
    ]


def numbers(text: str) -> set[Fraction]:
    """Return the values of all numbers of a text."""
    return {Fraction(_plain(found)) for found in re.findall(rf"(?<![\w.,]){NUMBER}(?!\.?\d)", text)}


def _is_open(text: str, end: int) -> bool:
    """Say whether a chain that begins at `end` goes on from something before it."""
    for mark in ("$", ""):
        while end and text[end - 1].isspace():
            end -= 1
        if mark and text.endswith(mark, 0, end):
            end -= 1
    return end > 0 and text[end - 1] in OPEN


def _holds(left: str, right: str) -> bool:
    try:
        value = _value(left)
    except ZeroDivisionError:
        return False
    decimals = len(right.partition(".")[2])
    return abs(value - Fraction(right)) <= (Fraction(1, 2 * 10**decimals) if decimals else 0)


def _value(chain: str) -> Fraction:
    """Return the value of numbers and signs, products before sums, exactly."""
    parts = PART.findall(chain)
    terms, sign = [Fraction(_plain(parts[0]))], ""
    for part in parts[1:]:
        if part in "+-*/":
            sign = part
        elif sign in "+-":
            terms.append(Fraction(_plain(part)) * (1 if sign == "+" else -1))
        else:
            factor = Fraction(_plain(part))
            terms[-1] = terms[-1] * factor if sign == "*" else terms[-1] / factor
    return sum(terms, Fraction())


def _plain(text: str) -> str:
    return text.replace("$", "").replace(",", "")
