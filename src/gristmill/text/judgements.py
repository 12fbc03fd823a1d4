"""Judgements of one answer, each an explanation with a final yes or no, and all taken together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypedDict

from gristmill.text.words import words

JUDGE = """Judge whether a response follows its instruction in everything. Look at one demand \
after the other and explain what you find; then write a line "Final Judgement:" and below it Yes \
or No.

### Instruction
{instruction}

### Response
{response}

### Explanation"""
# The constraint stands last: all of one response share what is before it.
CRITIC = """Judge whether a response meets one constraint of its instruction, that one alone. \
Reply with yes or no, then say in one sentence why.

### Instruction
{instruction}

### Response
{response}

### Constraint
{constraint}

### Yes or no, and why"""
REFINE = """Write the response again so that it follows the instruction in everything. Change \
nothing else. Put the new response between [[start]] and [[end]]."""
FINAL = re.compile(r"Final Judge?ment\W*?\b(Yes|No)\b", re.IGNORECASE)
MIN_VOTES = 3
"""Judgements that must be readable: fewer decide nothing."""


class Critique(TypedDict):
    """What a program measured of one constraint on an answer, or a critic said of it."""

    constraint: str
    satisfied: bool
    reason: str


def criticised(text: str) -> tuple[bool, str] | None:
    """Return yes or no, and why, of a reply to `CRITIC`; None where it says neither.

    >>> criticised("No. There is a comma.")
    (False, 'There is a comma.')
    """
    word, *why = text.split(None, 1) or [""]
    told = {"yes": True, "no": False}.get(word.strip(".,:;!*").lower())
    return None if told is None else (told, "".join(why).strip())


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer, the share (0..1) of judgements for it, and one of them: against it if any is."""

    text: str
    value: float
    critique: str
    agreed: str = ""
    """A judgement on the side of the majority; none where there is no majority."""


class Refined(TypedDict):
    """A failed answer and the refinement that passed, as a pair."""

    prompt: str
    chosen: str
    rejected: str
    value: float
    """0..1: share of the judgements in favour of the chosen answer."""
    nodes: int
    """Refinements that were judged."""
    change: float
    """0..1: edits of words between the two, in words of the longer one."""
    spread: float | None
    """The same between the rejected answer and those drawn beside it, in the mean; a refinement
    that changes what matters alone has less. None where it is the only answer."""


@dataclass(frozen=True, slots=True)
class Grown:
    """What a search made of the answers to one prompt."""

    answers: Sequence[Judged]
    root: Judged | None = None
    """The answer that failed and was refined."""
    made: Sequence[tuple[Judged, Judged]] = ()
    """Refinements, each behind what it was made of."""
    best: Judged | None = None
    """The refinement that passed and ended the search."""


def judged(text: str, judgements: Iterable[str]) -> Judged | None:
    """Count the first yes or no after each heading; None where too few can be read."""
    votes = [(found[1].lower(), one) for one in judgements if (found := FINAL.search(one))]
    if len(votes) < MIN_VOTES:
        return None
    share = sum(vote == "yes" for vote, _ in votes) / len(votes)
    agreed = "" if share == 0.5 else (max if share > 0.5 else min)(votes)[1].strip()
    return Judged(text, share, min(votes)[1].strip(), agreed)


def refined(prompt: str, grown: Grown, root: Judged, best: Judged) -> Refined:
    """Return the pair that a search has found."""
    others = [edits(root.text, one.text) for one in grown.answers if one is not root]
    return Refined(
        prompt=prompt, chosen=best.text, rejected=root.text,
        value=best.value, nodes=len(grown.made),
        change=edits(root.text, best.text), spread=fmean(others) if others else None,
    )  # fmt: skip


def edits(a: str, b: str) -> float:
    """Return the words to add, take out or replace from one text to the other, 0..1 of the longer.

    >>> edits("one two three four", "one three five four")
    0.5
    """
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.normalized_distance(words(a), words(b))
