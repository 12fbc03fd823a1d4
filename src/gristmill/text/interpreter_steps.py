"""Steps of a solution with an interpreter: a thought, then code or an answer, what code showed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from gristmill.text.fences import fences, python_code

SEEN = "Observation:"
"""What the interpreter says comes after it; a model that goes on there invents it."""
FINAL = re.compile(r"(?mi)^[^\w\n]*final answer:[ \t*]*([^\s*](?:.*[^\s*])?)[ \t*]*$")
THOUGHT = re.compile(r"(?mi)^[^\w\n]*(?:action|final answer):|^(?:```|~~~)")
MAX_SEEN = 2000
"""Characters of an observation."""
CUT = "... (cut)"


class Step(TypedDict):
    """One step; the last one has no code."""

    thought: str
    code: str | None
    output: str | None


def read(text: str) -> tuple[Step, str | None] | None:
    """Return a step, and its final answer; None where it has both code and answer, or neither."""
    final, code, blocks = FINAL.findall(text), python_code(text), fences(text)
    if blocks is None or len(blocks) > 1 or len(final) + (code is not None) != 1:
        return None
    thought = THOUGHT.split(text)[0].strip().removeprefix("Thought:").strip()
    return {"thought": thought, "code": code, "output": None}, final[0] if final else None


def seen(cell: Mapping[str, Any]) -> str:
    """Return what a cell of the sandbox shows: its output and value, the end of its traceback."""
    return _shown(cell)[-MAX_SEEN:]


def observed(cell: Mapping[str, Any]) -> str:
    """Return the beginning of what a cell shows, with a mark where it was cut."""
    text = _shown(cell)
    return text if len(text) <= MAX_SEEN else text[:MAX_SEEN] + CUT


def _shown(cell: Mapping[str, Any]) -> str:
    parts = [cell["stdout"].strip(), cell["value"] or "", (cell["error"] or "").strip()]
    return "\n".join(part for part in parts if part) or "(nothing)"


def is_grounded(answer: str, steps: Sequence[Step]) -> bool:
    """Say whether an answer stands in an observation, or in the last thought."""
    shown = [step["output"] or "" for step in steps] + [steps[-1]["thought"]]
    return any(answer in text for text in shown)
