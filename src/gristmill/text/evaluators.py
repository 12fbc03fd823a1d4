"""Evaluators: how two answers are compared or scored in words, and how that is read.

Source: Arif et al., "The Fellowship of the LLMs", arXiv:2408.08688, sections 3.1 and 3.2: evidence
first, then a verdict in a fixed form; what has none is asked for once more.
Differs from the paper: our own prompts; several winners of a jury are a tie, whoever they are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

Winner = Literal["a", "b", "tie"]
SIDES: dict[Winner, str] = {"a": "chosen", "b": "rejected", "tie": "tie"}
"""Answer A is `chosen`."""
NAMED: dict[str, Winner] = {"a": "a", "b": "b", "tie": "tie"}
TURNED: dict[Winner, Winner] = {"a": "b", "b": "a", "tie": "tie"}
COMBINED = """Judge two answers to one question: how right, helpful and clear each is. Their order \
and length say nothing. Weigh them in a few sentences first; then write two lines with scores out \
of {top}:
Score A: number/{top}
Score B: number/{top}

### Question
{asked}

### Answer A
{first}

### Answer B
{second}

### Judgement"""
SINGLE = """Judge an answer to a question: how right, helpful and clear it is. Weigh it in a few \
sentences first; then write one line with a score out of {top}:
Score: number/{top}

### Question
{asked}

### Answer
{first}

### Judgement"""
DIRECT = """Which of two answers to one question is better: more right, helpful and clear? Their \
order and length say nothing. Weigh them in a few sentences first; then write one line:
Winner: A, B or tie

### Question
{asked}

### Answer A
{first}

### Answer B
{second}

### Judgement"""
FINAL = (
    "Write the last lines alone, exactly in the form that was asked for, out of {top} if scored."
)
SCORE = re.compile(
    r"(?im)^[ \t*#>-]*score(?: *(a|b))?[\s*]*:[\s*]*(\d+(?:\.\d+)?)(?:\s*/\s*(\d{1,9}))?[\s*.]*$"
)
WINNER = re.compile(r"(?im)^[ \t*#>-]*winner[\s*]*:[\s*]*(?:answer\s+)?(a|b|tie)\b[\s*.]*$")


class Vote(NamedTuple):
    """Whom a judge finds better, what it gives A and B, and how often it was asked again."""

    winner: Winner | None
    a: float | None
    b: float | None
    repairs: int
    is_consistent: bool | None = None
    """Whether both orders gave the same winner."""


def both_scores(text: str, top: int) -> tuple[float, float] | None:
    """Return the scores of A and B; None unless both are there once, and in range."""
    found = [
        (name.lower(), float(score)) for name, score, of in SCORE.findall(text) if _of(of, top)
    ]
    scores = {name: score for name, score in found if name and score <= top}
    return (scores["a"], scores["b"]) if {*scores} == {"a", "b"} else None


def one_score(text: str, top: int) -> float | None:
    """Return the last score without a name; None if there is none, or none in range."""
    found = [float(score) for name, score, of in SCORE.findall(text) if not name and _of(of, top)]
    return found[-1] if found and found[-1] <= top else None


def named_winner(text: str) -> Winner | None:
    """Return whom the last line of a verdict names."""
    found = WINNER.findall(text)
    return NAMED[found[-1].lower()] if found else None


def by_scores(a: float, b: float) -> Winner:
    """Return who has the larger score; equal ones are a tie."""
    return "tie" if a == b else "a" if a > b else "b"


def jury(votes: Sequence[Winner]) -> Winner:
    """Return the winner named most often; several of them are a tie."""
    counts = Counter(votes)
    most = [vote for vote, n in counts.items() if n == max(counts.values())]
    return most[0] if len(most) == 1 else "tie"


def in_both_orders(one: Vote, turned: Vote) -> Vote:
    """Return one vote for two, the second of which was cast with A and B in each other's place.

    Who says something else then says tie; scores are means. Without one of them there is none.
    """
    a, b = mean([one.a, turned.b]), mean([one.b, turned.a])
    if one.winner is None or turned.winner is None:
        return Vote(None, a, b, one.repairs + turned.repairs)
    is_same = one.winner == TURNED[turned.winner]
    return Vote(one.winner if is_same else "tie", a, b, one.repairs + turned.repairs, is_same)


def mean(scores: Sequence[float | None]) -> float | None:
    """Return the mean of the scores that are there."""
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None


def _of(named: str, top: int) -> bool:
    return not named or int(named) == top
