"""Tasks over the fields of a dataset: read from a reply, and checked against the fields.

Source: Yin et al., "Dynosaur", arXiv:2305.14327, section 2; the published code.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Literal, NamedTuple


class Task(NamedTuple):
    """What a model designed: an instruction, its input fields and its output field."""

    instruction: str
    inputs: tuple[str, ...]
    output: str


Fault = Literal["bad_json", "no_output_field", "unknown_field", "input_is_output", "repeated"]


def tasks_in(text: str) -> list[Any]:
    """Return what stands in the JSON object of a reply, whatever its keys; one task counts too.

    A reply without an object is one text: no task.
    """
    try:
        said = json.loads(text[text.index("{") : text.rindex("}") + 1])
    except (ValueError, RecursionError):
        return [text]
    return ([said] if "instruction" in said else list(said.values())) or [text]


def designed(
    text: str, names: Collection[str], others: Collection[Task]
) -> list[Task | tuple[Fault, str]]:
    """Return the tasks of a reply over fields of those names, and what is wrong with the rest."""
    before, found = list[Task](), list[Task | tuple[Fault, str]]()
    for said in tasks_in(text):
        task = checked(said, names, before, others)
        before += [task] if isinstance(task, Task) else []
        found.append(task if isinstance(task, Task) else (task, str(said)))
    return found


def checked(
    said: Any, names: Collection[str], before: Collection[Task], others: Collection[Task]
) -> Task | Fault:
    """Return a task over fields of those names, or what is wrong with it.

    Its instruction is unlike those before it in the same reply, and it is none of other replies.
    """
    instruction = said.get("instruction") if isinstance(said, dict) else None
    if not isinstance(instruction, str) or not instruction.strip():
        return "bad_json"
    inputs, outputs = _names(said.get("input_fields")), _names(said.get("output_field"))
    if len(outputs) != 1:
        return "no_output_field"
    if not inputs or {*inputs, *outputs} - {*names}:
        return "unknown_field"
    if outputs[0] in inputs:
        return "input_is_output"
    task = Task(instruction.strip(), inputs, outputs[0])
    told = {one.instruction for one in before}
    return "repeated" if task.instruction in told or task in others else task


def _names(value: Any) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(name for name in found if isinstance(name, str))
