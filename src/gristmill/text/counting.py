"""Counting: numbers that go up, or down, by the same step between the same words.

Where a model only counts on, all its words differ: `1. 2. 3.`, `codice_7 codice_8`, a table with a
number of its own in every row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

NUMBER = re.compile(r"\d+")
OTHERS = bytes(set(range(256)) - set(b"0123456789"))
DIGITS = 15
"""Of a number that are read."""
TOGETHER = 4
"""Numbers of one step at most: `3 x 4 = 12` has three."""
COUNTED = 40
"""Steps from which on it is a loop. Of 21,437 answers of people and instruction-tuned models the
longest that does not loop counts to 24, and three count further; a base model counts to 198."""
BARE = 3
"""Times as many steps without a letter between: people ask for the numbers up to a hundred."""


def has_numbers(text: str, steps: int) -> bool:
    """Say whether there are digits for so many steps; one counts the others out."""
    return len(text.encode(errors="replace").translate(None, OTHERS)) >= steps


def counting(text: str, steps: int = COUNTED) -> str | None:
    """Find numbers that count for so many steps."""
    found = [*NUMBER.finditer(text)]
    numbers = [int(one[0][:DIGITS]) for one in found]
    gaps = [text[a.end() : b.start()].strip() for a, b in pairwise(found)]
    runs = (_run(numbers, gaps, n, steps) for n in range(1, TOGETHER + 1))
    ends = next(filter(None, runs), None)
    return f"counts on from {ends[0]} to {ends[1]}" if ends else None


def _run(numbers: Sequence[int], gaps: Sequence[str], n: int, steps: int) -> tuple[int, int] | None:
    """Return where a run in which every nth number has one step begins and ends to count."""
    start = 0
    for i in range(2 * n, len(numbers)):
        is_step = numbers[i] - numbers[i - n] == numbers[i - n] - numbers[i - 2 * n]
        if not is_step or gaps[i - 1] != gaps[i - 1 - n]:
            start = i - 2 * n + 1
        elif i + 1 - start in (n * steps, n * steps * BARE):
            moves = (j for j in range(i + 1 - n, i + 1) if numbers[j] != numbers[j - n])
            last = next(moves, None)
            has_words = any(map(str.isalpha, "".join(gaps[i - n : i])))
            if last is not None and (has_words or i + 1 - start == n * steps * BARE):
                return numbers[start + (last - start) % n], numbers[last]
    return None
