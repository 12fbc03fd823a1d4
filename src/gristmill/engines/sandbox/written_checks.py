"""Checks that a model wrote, `evaluate(response) -> bool`, asked about texts in the sandbox.

Source: Dong et al., "Self-play with Execution Feedback: Improving Instruction-following
Capabilities of Large Language Models", arXiv:2406.13542, section 3.1 (cross-validation).
"""

from __future__ import annotations

from collections.abc import Sequence

from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.engines.sandbox.values import form

TRUE, FALSE = form(["b", 1]), form(["b", 0])
Said = list[bool | None]
"""What a function says of each text; None where it ended by an exception or a limit."""


def asked(function: str, texts: Sequence[str], timeout_s: float) -> Program:
    """Return the program that asks a function about each text; `timeout_s` is for all of them."""
    calls = tuple(f"bool(evaluate({text!r}))" for text in texts)
    return Program(function, calls=calls, timeout_s=timeout_s)


def said(verdict: Verdict, n: int) -> Said:
    """Return what the function said of n texts."""
    values = [form(value) for value in verdict.values or [None] * n]
    return [{TRUE: True, FALSE: False}.get(value) for value in values]


def is_python(verdict: Verdict) -> bool:
    """Say whether a function could be asked at all: it is Python, and what it imports is there."""
    was_asked = any(value is not None for value in verdict.values or ())
    return was_asked or verdict.status not in ("error", "missing_dependency")


def agreed(expected: Sequence[bool], answers: Sequence[Said], agreement: int) -> list[int]:
    """Return the places of the cases whose expected output at least so many functions gave."""
    return [
        place
        for place, wanted in enumerate(expected)
        if sum(found[place] is wanted for found in answers) >= agreement
    ]


def accuracy(expected: Sequence[bool], found: Said, places: Sequence[int]) -> float:
    """Return the share (0..1) of the cases at these places that a function gets right."""
    return sum(found[place] is expected[place] for place in places) / len(places)


def pass_rate(found: Said) -> float | None:
    """Return the share (0..1) of all functions that a text passes; None where none could tell."""
    told = any(one is not None for one in found)
    return sum(one is True for one in found) / len(found) if told else None
