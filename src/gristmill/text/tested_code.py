"""An answer that brings its own tests: where it divides, and what makes it unfit to run.

The rules are those of SelfCodeAlign's released sanitizer, on text alone: nothing a model wrote is
parsed outside the sandbox.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gristmill.text.fences import python_code

BOUNDARY = re.compile(r"</response>\s*<tests>")
PLACEHOLDER = re.compile(
    r"\btodo\b|\bfixme\b|your (?:code|solution|implementation|logic) (?:goes )?here|"
    r"not ?implemented|implement (?:this|me)\b",
    re.IGNORECASE,
)
ACTION = re.compile(r"^(?!(?:async def|def|class|import|from)\b|[@#)\]}])\S", re.MULTILINE)
"""A line at the left edge that does something when the tests run."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why an answer is not run: a stable code, and the evidence."""

    code: str
    detail: str


def divide(text: str) -> tuple[str, str] | Flaw:
    """Return the response and the code of its tests."""
    halves = BOUNDARY.split(text)
    if len(halves) != 2:
        return Flaw("not_two_parts", f"{len(halves)} parts")
    response, tests = halves[0].strip(), python_code(halves[1])
    if found := PLACEHOLDER.search(response):
        return Flaw("placeholder", found[0])
    if python_code(response) is None:
        return Flaw("no_code", "no closed Python block in the response")
    if tests is None:
        return Flaw("no_tests", "no closed Python block in the tests")
    if not re.search(r"\bassert\b", tests) or not ACTION.search(tests):
        return Flaw("no_assert", tests)
    return response, tests
