"""Leaks: parts of a prompt template that came back in the reply."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gristmill.text.words import words

HEADING = re.compile(r"(?m)^#+ +(.+)$")
PLACEHOLDER = re.compile(r"\{\w+\}")


def markers(templates: Iterable[str]) -> frozenset[str]:
    """Return what a reply must not repeat: the templates' headings and their placeholders."""
    found = set[str]()
    for text in templates:
        found |= {f"# {head}" if "{" in head else head for head in HEADING.findall(text)}
        found |= set(PLACEHOLDER.findall(text))
    return frozenset(found)


def heads(templates: Iterable[str]) -> frozenset[str]:
    """Return the templates' headings as headings only: their words may be anywhere else."""
    return frozenset(f"# {head}" for text in templates for head in HEADING.findall(text))


def leak(text: str, marks: Iterable[str]) -> str | None:
    """Return the first marker in the text, or None.

    A placeholder counts with its braces only; a heading counts as whole words, whatever their
    case and the punctuation between them; one that begins with `#` as a line that is a heading,
    whatever fills it in.
    """
    spoken = f" {' '.join(words(text))} "
    for mark in sorted(marks):
        if mark.startswith("#"):
            name, filled, _ = mark.removeprefix("# ").partition("{")
            end = r"[^\n]*" if filled else r"[ \t:]*$"
            is_there = bool(re.search(rf"(?im)^#+ +{re.escape(name.strip())}{end}", text))
        elif mark.startswith("{"):
            is_there = mark in text
        else:
            is_there = f" {' '.join(words(mark))} " in spoken
        if is_there:
            return mark
    return None
