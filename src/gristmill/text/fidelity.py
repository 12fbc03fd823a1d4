"""Fidelity: what a rewrite must not lose, such as a number or an address."""

from __future__ import annotations

import re
from collections.abc import Iterator

FACT = re.compile(r"https?://[^\s)>\]]+|`[^`\n]+`|(?<![\w.])\d+(?:[.,]\d+)*(?![\w])")
"""Addresses, code in backticks, and numbers that are no part of a name."""
DIGIT = re.compile(r"(?![0-9])\d")
SEPARATOR = re.compile(r"(?<=\d)[.,\u00a0\u202f\u066b\u066c'](?=\d)")
"""What stands in numbers: 1,200.5 is 1.200,5 elsewhere."""


def facts(text: str) -> Iterator[str]:
    """Yield addresses, code spans and numbers in order, thousands without their commas."""
    for found in FACT.finditer(text):
        fact = found[0].rstrip(".,;:!?")
        is_number = fact[0].isdigit()
        yield re.sub(r",(?=\d{3}\b)", "", fact) if is_number else fact


def lost(source: str, rewrite: str) -> list[str]:
    """Return the facts of a source that a rewrite does not have, each once, in order."""
    kept = set(facts(rewrite))
    return [fact for fact in dict.fromkeys(facts(source)) if fact not in kept]


def lost_in_translation(source: str, translation: str) -> list[str]:
    """Return the facts that a translation does not have; digits and separators may be its own."""
    return lost(_plain_numbers(source), _plain_numbers(translation))


def _plain_numbers(text: str) -> str:
    text = DIGIT.sub(lambda found: str(int(found[0])), text)
    return SEPARATOR.sub("", text)
