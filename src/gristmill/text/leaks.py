"""Leaks: parts of a prompt template that came back in the reply."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gristmill.text.words import words

HEADING = re.compile(r"(?m)^#+ +(.+)$")
PLACEHOLDER = re.compile(r"\{\w+\}")


def markers(templates: Iterable[str]) -> frozenset[str]:
    """Return what a reply must not repeat: the templates' headings and their placeholders."""
    return frozenset(
        mark for text in templates for mark in HEADING.findall(text) + PLACEHOLDER.findall(text)
    )


def leak(text: str, marks: Iterable[str]) -> str | None:
    """Return the first marker in the text, or None.

    A placeholder counts with its braces only; a heading counts as whole words, whatever their
    case and the punctuation between them.
    """
    spoken = f" {' '.join(words(text))} "
    for mark in sorted(marks):
        if mark in text if mark.startswith("{") else f" {' '.join(words(mark))} " in spoken:
            return mark
    return None
