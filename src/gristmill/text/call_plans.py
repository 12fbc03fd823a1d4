"""Plans of calls: numbered tasks that refer to results of earlier ones, and which can run together.

Source: Kim et al., "An LLM Compiler for Parallel Function Calling", arXiv:2312.04511, section 3;
`SqueezeAILab/LLMCompiler` (MIT): a task is `N. name(arguments)`, `$k` or `${k}` a result, the last
one `join()`.
Differs from the paper: arguments are one JSON object, whose quotes and nesting leave no doubt, and
a reference may go into a result: `$1.0.id`. A text that is one reference has the type of what it
names; `$$` is a dollar sign.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gristmill.text.simulated_api import OK, Call
from gristmill.text.tool_calls import Answering, ToolTurn, answering, calling, shown

TASK = re.compile(r"(?<![\w.])(\d{1,3})\.[ \t]*(\w{1,80})\(\s*")
REFERENCE = re.compile(r"\$\$|\$\{?(\d{1,3})((?:\.\w{1,80}){0,9})\}?")
JOIN = "join"
MAX_DEPTH = 50
"""Of arguments: what reads them goes down as far."""


@dataclass(frozen=True)
class Task:
    """One call of a plan."""

    id: int
    call: Call
    """Its arguments may have references."""

    @property
    def depends_on(self) -> list[int]:
        """Ids of the tasks whose results it needs, in order."""
        found = (text for text in _texts(self.call["arguments"]))
        ids = {int(one[1]) for text in found for one in REFERENCE.finditer(text) if one[1]}
        return sorted(ids)


def read_plan(text: str, first: int = 1) -> list[Task] | str:
    """Return the tasks of a reply up to `join()`, numbered from `first`, or what is wrong."""
    tasks, at = list[Task](), 0
    while found := TASK.search(text, at):
        id_, name, at = int(found[1]), found[2], found.end()
        if id_ != first + len(tasks):
            return f"task {id_} comes where {first + len(tasks)} is next"
        if name == JOIN:
            return tasks or "a plan without a task"
        try:
            arguments, at = ({}, at) if text[at : at + 1] == ")" else DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            return f"the arguments of task {id_} are no JSON: {error}"
        if not isinstance(arguments, dict) or not text[at:].lstrip().startswith(")"):
            return f"task {id_} has something else than one object"
        if _is_deeper(arguments, MAX_DEPTH):
            return f"the arguments of task {id_} are nested too deeply"
        task = Task(id_, Call(name=name, arguments=arguments))
        if later := [k for k in task.depends_on if not 0 < k < id_]:
            return f"task {id_} refers to {later[0]}, which is not before it"
        tasks.append(task)
    return "it does not end with join()"


def levels(tasks: Sequence[Task]) -> list[list[Task]]:
    """Return tasks in groups that can run together, each after all that it needs."""
    level: dict[int, int] = {}
    for task in tasks:
        level[task.id] = 1 + max((level.get(k, 0) for k in task.depends_on), default=0)
    return [[t for t in tasks if level[t.id] == n] for n in sorted({*level.values()})]


def resolved(arguments: Any, results: Mapping[int, Any]) -> Any:
    """Return arguments with results in the place of references.

    Raises:
        LookupError: a result, or what a reference names in it, is not there.
    """
    if isinstance(arguments, dict):
        return {key: resolved(one, results) for key, one in arguments.items()}
    if isinstance(arguments, list):
        return [resolved(one, results) for one in arguments]
    if not isinstance(arguments, str):
        return arguments
    if (whole := REFERENCE.fullmatch(arguments)) and whole[1]:
        return _inside(whole, results)

    def told(found: re.Match[str]) -> str:
        value = _inside(found, results) if found[1] else "$"
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    return REFERENCE.sub(told, arguments)


@dataclass
class Progress:
    """What has been run of some plans, one after the other."""

    answer: Answering
    made: list[Call] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    results: dict[int, Any] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    turns: list[ToolTurn] = field(default_factory=list)
    depth: int = 0
    """Turns that call."""

    async def run(self, tasks: Sequence[Task]) -> None:
        """Run a plan level by level."""
        self.tasks += tasks
        for level in levels(tasks):
            calls, ids, answers = list[Call](), list[str](), list[ToolTurn]()
            for task in level:
                name = task.call["name"]
                try:
                    call = Call(name=name, arguments=resolved(task.call["arguments"], self.results))
                except LookupError as error:
                    self.told.append(f"{task.id}. {name}: not called: {error}")
                    continue
                self.made.append(call)
                result = await self.answer(self.made)
                if result["code"] == OK:
                    self.results[task.id] = result["body"]
                given, seen = json.dumps(call["arguments"], ensure_ascii=False), shown(result)
                self.told.append(f"{task.id}. {name}({given}): {seen}")
                calls.append(call)
                ids.append(f"call_{task.id}")
                answers.append(answering(ids[-1], name, seen))
            self.depth += bool(calls)
            self.turns += [calling(calls, ids), *answers] if calls else []


def _inside(found: re.Match[str], results: Mapping[int, Any]) -> Any:
    """Return what a reference names."""
    value = results[int(found[1])]
    for part in found[2].split(".")[1:]:
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (LookupError, ValueError, TypeError):
            raise LookupError(f"{found[0]} is not there") from None
    return value


def _is_deeper(value: Any, most: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(most == 0 or _is_deeper(one, most - 1) for one in inner)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [text for one in inner for text in _texts(one)]
    return [value] if isinstance(value, str) else []


def _finite(text: str) -> None:
    raise ValueError(f"{text} is no number")


DECODER = json.JSONDecoder(parse_constant=_finite)
