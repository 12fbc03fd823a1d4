"""Shapes: from the columns a user's file has to `instruction`, `input`, `output` and `messages`.

Recognised, first match wins, names in any case:
- turns (`messages`, `conversations`, ..., ChatML or ShareGPT, also as JSON text; `prompt` with
  `completion` or `chosen` as turns): the conversation stays whole in `messages`, a `system`
  column becomes its first turn; `instruction` is the first user turn, `output` the last
  assistant turn, so for a single exchange they say all.
- texts: one column for each of the three, see NAMES. Alpaca, Dolly (`context`), prompt/response,
  prompt/completion, question/answer, prompt/chosen/rejected, or only `prompt` or `text`; the
  `body` of a question (SVAMP) is its input; a task's `definition` (Natural Instructions) where
  there is an input and no other instruction.
A column that was taken over is renamed; every other is carried through.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from gristmill.errors import InputError
from gristmill.storage.rows import Row
from gristmill.text.chat import exchange, is_turns, read_turn

TURNS = ("messages", "conversations", "conversation", "dialogue", "dialog", "chat")
NAMES = {
    "instruction": ("instruction", "prompt", "question", "query", "problem", "inputs", "text"),
    "input": ("input", "context"),
    "output": ("output", "response", "completion", "answer", "solution", "targets", "chosen"),
}
ALSO = {"output": ("reply", "gold", "truth", "reference", "code")}
"""What a column of ours may be called too, but may not be taken for without being asked."""
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
SAID = ("messages", "instruction", "output")
"""What a conversation gives."""
KNOWN: dict[tuple[str | None, ...], str] = {
    ("instruction", "input", "output"): "alpaca",
    ("instruction", None, "output"): "alpaca",
    ("instruction", "context", "response"): "dolly",
    ("prompt", None, "chosen"): "preference",
}


@dataclass(frozen=True)
class Shaped:
    """The rows of a file under our names."""

    shape: str
    origin: dict[str, str]
    """Our column -> the file's column that it is made of."""
    rows: list[Row | str]
    """The new row, or what is wrong with the old one."""


def reshape(file: str, rows: list[Row], mapping: Mapping[str, str]) -> Shaped:
    """Recognise the shape of a file's rows, after `mapping` has named some of its columns."""
    seen = sorted(present(rows)) if mapping else []
    for core, user in mapping.items():
        if user not in seen:
            near = get_close_matches(user, seen, 1, 0.4)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise InputError(f"seeds.map: {file} has no column '{user}', only {seen}{hint}")
        first = next(c for c, u in mapping.items() if u == user)
        if first != core:
            raise InputError(f"seeds.map: '{user}' cannot be both '{first}' and '{core}'")
    rows = [_mapped(row, mapping) for row in rows] if mapping else rows
    names = present(rows)
    lower = {name.lower(): name for name in reversed(names)}
    taken = _taken(rows, lower)
    column = next((lower[n] for n in TURNS if n in lower and _any_turns(rows, lower[n])), None)
    if column or _any_turns(rows, lower.get("prompt")) or _any_turns(rows, lower.get("chosen")):
        shared = any("from" in turn for row in rows for turn in _list(row.get(column or ""))[:1])
        talks = [
            _talk(row, column, lower)
            if not column or row.get(column) is not None or not taken
            else _texts(row, taken)
            for row in rows
        ]
        origin = {**taken, **dict.fromkeys(SAID, column or lower.get("prompt", "chosen"))}
        return Shaped("sharegpt" if shared else "messages", _named(origin, mapping), talks)
    found = tuple(taken.get(core) for core in NAMES)
    said = tuple(name and name.lower() for name in found)
    shape = KNOWN.get(said) or "/".join(filter(None, said)) or ("code" if "code" in lower else "")
    return Shaped(shape or "unknown", _named(taken, mapping), [_texts(row, taken) for row in rows])


def _named(origin: Mapping[str, str], mapping: Mapping[str, str]) -> dict[str, str]:
    return {core: mapping.get(name, name) for core, name in origin.items()}


def present(rows: Iterable[Row]) -> list[str]:
    """Return the columns with a value in any row, in the order they first appear."""
    return list(dict.fromkeys(k for row in rows for k, value in row.items() if value is not None))


def likely(core: str, names: Iterable[str]) -> str | None:
    """Return the name whose last word says that it is our column, such as `canonical_solution`."""
    known = (*NAMES.get(core, (core,)), *ALSO.get(core, ()))
    found: list[tuple[int, int, str]] = []
    for name in names:
        words = WORD.findall(name)
        near = get_close_matches(words[-1].lower(), known, 1, 0.8) if words else []
        found += [(known.index(word), len(words), name) for word in near]
    return min(found)[-1] if found else None


def _mapped(row: Row, mapping: Mapping[str, str]) -> Row:
    """Rename what the user named; a column that stood in the way keeps its content."""
    moved = {user: core for core, user in mapping.items()}
    new: Row = {}
    for name, value in row.items():
        in_the_way = name in mapping and name not in moved
        new[moved.get(name, f"{name}_original" if in_the_way else name)] = value
    return new


def _taken(rows: list[Row], lower: Mapping[str, str]) -> dict[str, str]:
    """Return which column becomes which of the three."""
    taken: dict[str, str] = {}
    for core, names in NAMES.items():
        found = (lower[name] for name in names if name in lower)
        name = next((name for name in found if _is_text(rows, name)), None)
        if name:
            taken[core] = name
    about, body = taken.get("instruction", "").lower(), lower.get("body")
    if about == "question" and "input" not in taken and body and _is_text(rows, body):
        taken["input"] = body
    if "instruction" not in taken and "input" in taken:
        task = lower.get("definition")
        if task and _is_text(rows, task):
            taken["instruction"] = task
        else:
            taken["instruction"] = taken.pop("input")
    return taken


def _is_text(rows: list[Row], name: str) -> bool:
    """Say whether a column holds texts or numbers, or lists of alternative texts."""
    return all(
        not isinstance(value, dict | list)
        or (isinstance(value, list) and all(isinstance(item, str) for item in value))
        for row in rows
        if (value := row.get(name)) is not None
    )


def _texts(row: Row, taken: Mapping[str, str]) -> Row | str:
    new = dict(row)
    for core, name in taken.items():
        value = row.get(name)
        if name != core and name != "chosen":
            new.pop(name, None)
        if isinstance(value, list):
            if len(value) > 1:
                new[f"{name}_original"] = value
            value = value[0] if value else None
        if value is not None:
            new[core] = value
        elif core == "instruction":
            return f"nothing in '{name}'"
        else:
            new.pop(core, None)
    return new


def _any_turns(rows: list[Row], name: str | None) -> bool:
    return name is not None and any(is_turns(_list(row.get(name))) for row in rows)


def _list(value: Any) -> list[Any]:
    """Return turns, also where a table holds them as JSON text; an empty list if there are none."""
    if isinstance(value, str) and value.startswith("[{"):
        try:
            value = json.loads(value)
        except ValueError:
            return []
    return value if is_turns(value) else []


def _talk(row: Row, column: str | None, lower: Mapping[str, str]) -> Row | str:
    """Return a row whose conversation is in `messages`."""
    new, system = dict(row), lower.get("system", "")
    try:
        raw = _list(new.pop(column, None)) if column else _joined(new, lower)
        if not raw:
            return f"no turns: {column or 'prompt'} is {str(row.get(column or 'prompt'))[:60]!r}"
        if row.get(system) and "system" not in (raw[0].get("role"), raw[0].get("from")):
            raw = [{"role": "system", "content": new.pop(system)}, *raw]
        new["messages"] = turns = [read_turn(turn) for turn in raw]
    except ValueError as error:
        return str(error)
    if exchange(turns)[0] is None:
        return "no turn of the user says anything"
    for core, text in zip(("instruction", "output"), exchange(turns), strict=True):
        if new.get(core) not in (None, text):
            new[f"{core}_original"] = new[core]
        new[core] = text
    return new


def _joined(new: Row, lower: Mapping[str, str]) -> list[Any]:
    """Join turns that are split over `prompt` and `completion` or `chosen`; leave the texts."""
    asked = new.get(lower.get("prompt", ""))
    turns = _list(asked) or ([{"role": "user", "content": asked}] if asked else [])
    if _list(asked):
        new.pop(lower["prompt"])
    for core in ("completion", "chosen", "rejected"):
        name = lower.get(core, "")
        more = _list(new.get(name))
        if more and core != "rejected":
            turns = more if more[: len(turns)] == turns else [*turns, *more]
        if more:
            new[name] = read_turn(more[-1])["content"]
            new[f"{name}_original"] = more
    return turns
