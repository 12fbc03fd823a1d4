"""Rules for rewrites: what a model wrote in the place of a new version of an instruction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from gristmill.text import detectors
from gristmill.text.leaks import leak
from gristmill.text.rouge import repeats
from gristmill.text.words import words

Flaw = Literal["template_leak", "refusal", "answered", "no_gain"]
REWRITE_FLAWS: frozenset[Flaw] = frozenset(get_args(Flaw))
"""The ways in which a text is no new version."""


def rewrite_flaw(child: str, parent: str, marks: Iterable[str]) -> tuple[Flaw, str] | None:
    """Name the first way in which a text is no new version of its parent, with the evidence.

    It has one of the prompt's `marks`, declines, answers, or plainly repeats the parent.
    """
    if mark := leak(child, marks):
        return "template_leak", f"'{mark}' in: {child}"
    if found := detectors.declines(child):
        return "refusal", f"{found}: {child}"
    if found := detectors.answers(child):
        return "answered", f"{found}: {child}"
    return ("no_gain", f"repeats its parent: {child}") if _repeats(child, parent) else None


def _repeats(child: str, parent: str) -> bool:
    return repeats(words(child), words(parent))
