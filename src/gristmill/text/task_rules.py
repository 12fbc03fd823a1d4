"""Rules for tasks that a model listed: what is no instruction that a text model can follow.

Source: Wang et al., "Self-Instruct", arXiv:2212.10560, section 2.3 and the published code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Literal, get_args

from gristmill.text import detectors

Flaw = Literal["refusal", "answered", "wrong_length", "modality", "asks_for_program", "odd_start"]
TASK_FLAWS: frozenset[Flaw] = frozenset(get_args(Flaw))
"""The ways in which a listed text is no task."""
MODALITIES = (
    "image", "images", "picture", "pictures", "graph", "graphs", "file", "files", "map", "maps",
    "draw", "plot", "go to",
)  # fmt: skip
"""Words for what a text model cannot see or do."""
WORDS = range(4, 151)
"""How many words an instruction may have."""


def task_flaw(task: str, banned: Sequence[str] = MODALITIES) -> tuple[Flaw, str] | None:
    """Name the first way in which a text is no task, with the evidence, or None.

    Words are split at spaces, as in the published code. Only ASCII may open a task there.
    """
    if found := detectors.declines(task):
        return "refusal", found
    if found := detectors.answers(task):
        return "answered", found
    if (n := len(task.split())) not in WORDS:
        return "wrong_length", f"{n} words"
    if hit := _any_of(tuple(banned)).search(task):
        return "modality", hit[0]
    if task.lower().startswith("write a program"):
        return "asks_for_program", task[:80]
    if not (task[0].isascii() and task[0].isalnum()):
        return "odd_start", ascii(task[0])
    return None


def one_line(task: str) -> str:
    """Return a task as it stands in a list: on one line, without a colon at its end."""
    return " ".join(task.split()).rstrip(": ")


@cache
def _any_of(banned: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, banned))})\b", re.I)
