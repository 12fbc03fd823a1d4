"""Tasks of code in four keys, and the analysis of one by checks, as WaveCoder writes both.

Source: Yu et al., "WaveCoder", arXiv:2312.14187, section 3.2 and appendix; `microsoft/WaveCoder`
(MIT) for the form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gristmill.text.fences import fold_fences
from gristmill.text.sentences import count_sentences

KEYS = re.compile(
    r"(?s)^\W*task_name:[ \t]*(?P<task_name>[^\n]*)\n\s*instruction:(?P<instruction>.*?)\n\s*"
    r"information:(?P<information>.*?)\n\s*solution:(?P<solution>.*)$"
)
CHECK = re.compile(r"(?is)<answer:\s*(yes|no)\b[\s,.:]*+((?:(?!<answer:).)*?)>[ \t]*(?=\n|$)")
OVERALL = re.compile(r"(?im)^[^\w\n]*overall answer:\W*(yes|no)\b")
REASONS = re.compile(r"(?ims)^[^\w\n]*reasons:\s*(\S.*)$")
NOTHING = re.compile(r"(?i)\W*(?:none|no ?input|n/a)?\W*")
N_CHECKS = 5
MAX_SENTENCES = 2
"""Of an instruction, and of information besides its code."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a reply has under its four keys; nothing is ""."""

    task_name: str
    instruction: str
    information: str
    solution: str

    def __str__(self) -> str:
        """Return it as a reply has it."""
        return (
            f"task_name: {self.task_name}\ninstruction: {self.instruction}\n"
            f"information: {self.information or 'none'}\nsolution:\n{self.solution}"
        )

    @property
    def flaw(self) -> str:
        """Name what makes it none: `empty_keys`, `too_long`; "" where nothing does."""
        if not (self.task_name and self.instruction and self.solution):
            return "empty_keys"
        texts = map(fold_fences, (self.instruction, self.information))
        return "too_long" if max(map(count_sentences, texts)) > MAX_SENTENCES else ""


@dataclass(frozen=True, slots=True)
class Analysis:
    """Whether each check holds and why, and what follows from all of them."""

    checks: tuple[tuple[bool, str], ...]
    is_good: bool
    reasons: str


def task_in(text: str) -> Task | None:
    """Return the task of a text; None where a key is missing, twice there or out of order."""
    names = re.findall(r"(?m)^[^\w\n]*(task_name|instruction|information|solution):", text)
    match = KEYS.match(text.strip()) if len(names) == len(set(names)) else None
    if not match:
        return None
    parts = {name: part.strip() for name, part in match.groupdict().items()}
    return Task(**{n: "" if NOTHING.fullmatch(part) else part for n, part in parts.items()})


def analysis_in(text: str) -> Analysis | None:
    """Return the analysis of a text; None where a check, the answer or the reasons are missing."""
    checks = tuple((said.lower() == "yes", why.strip()) for said, why in CHECK.findall(text))
    overall, reasons = OVERALL.findall(text), REASONS.search(text)
    if len(checks) != N_CHECKS or len(overall) != 1 or not reasons:
        return None
    return Analysis(checks, overall[0].lower() == "yes", reasons[1].strip())


def judged_examples(
    rows: Iterable[Mapping[str, Any]], kind: str, *, good: bool, most: int
) -> list[str]:
    """Return the tasks of a type that were judged so, each with its analysis, the first ones.

    Args:
        rows: With the columns of a task, and `meta` as JSON of what `wave_coder` and
            `wave_coder_judge` wrote.
        kind: The type.
        good: Which verdict.
        most: How many.
    """
    found: list[str] = []
    for row in rows:
        meta = json.loads(row["meta"])
        made, judged = meta.get("wave_coder") or {}, meta.get("wave_coder_judge") or {}
        if made.get("task_type") != kind or judged.get("good") != int(good):
            continue
        parts = row["instruction"], row["input"] or "", row["output"]
        found.append(f"{Task(made['task_name'], *parts)}\n\n{judged['analysis']}")
        if len(found) == most:
            break
    return found
