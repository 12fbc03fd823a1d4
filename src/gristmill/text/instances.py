"""Instances: inputs with outputs, read from what a model wrote after a task.

Source: Wang et al., "Self-Instruct", arXiv:2212.10560, appendix A; the published code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from gristmill.text import detectors

EXAMPLE = re.compile(r"(?im)^[ \t]*example[ \t]+\d+\s*[.:]?")
OUTPUT = re.compile(r"(?im)^[ \t]*output[ \t]*:")
INPUT = re.compile(r"(?im)^[ \t]*input[ \t]*:")
LABEL = re.compile(r"(?im)^[ \t]*class label[ \t]*:")
"""Markers count at the beginning of a line only: answers may have the same words."""


class Instance(TypedDict):
    """An input and its output."""

    input: str
    output: str


class Seed(TypedDict):
    """A task of people, with its answer in `output` or as the first instance."""

    instruction: str
    input: NotRequired[str | None]
    output: NotRequired[str | None]
    instances: NotRequired[list[Instance] | None]


def input_first(text: str) -> list[tuple[str, str | None]]:
    """Return input and output of every numbered example; the output is None without its marker.

    What is before the output is the input, without its label; an output ends at a second input.
    """
    found: list[tuple[str, str | None]] = []
    for part in [part for part in EXAMPLE.split(text) if part.strip()]:
        given, *rest = OUTPUT.split(part, maxsplit=1)
        output = INPUT.split(rest[0])[0].strip() if rest else None
        found.append((INPUT.sub("", given, count=1).strip(), output))
    return found


def label_first(text: str) -> list[tuple[str, str | None]]:
    """Return input and label of every example: the label's line, then the input."""
    found: list[tuple[str, str | None]] = []
    for part in LABEL.split(text)[1:]:
        label, _, given = part.strip().partition("\n")
        found.append((INPUT.sub("", given, count=1).strip(), label.strip()))
    return found


def flaw(given: str, output: str | None) -> str | None:
    """Name the first thing that makes a pair no instance, or None."""
    flaws = {
        "no_marker": output is None,
        "no_answer": not output,
        "input_is_output": given == output,
        "ends_with_colon": any(text.endswith(":") for text in (given, output or "")),
        "refusal": detectors.declines(output or ""),
    }
    return next((code for code, is_so in flaws.items() if is_so), None)


def brought(row: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return input and output that a seed task brings, as columns or as its first instance."""
    first: Mapping[str, Any] = next(iter(row.get("instances") or ()), {})
    given, output = (row.get(name) or first.get(name) or None for name in ("input", "output"))
    return None if given and detectors.is_marker(given) else given, output
