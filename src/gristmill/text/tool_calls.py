"""Calls of functions in a conversation: as turns with `tool_calls`, and read back from them.

Arguments are objects, not texts in JSON, because that is what chat templates render.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict

from gristmill.text.openapi import function
from gristmill.text.simulated_api import Api, Call, Endpoint, Result, World, replay

MAX_SEEN = 1024
"""Characters of an answer that a model sees, as in ToolBench."""
MAX_GLANCE = 400
"""Characters of an answer that shows what there is."""
Answering = Callable[[Sequence[Call]], Awaitable[Result]]
"""Answers the last of calls that were made one after the other."""


class ToolTurn(TypedDict):
    """A turn of a conversation with calls, as a row's `messages` keep it."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    extra: str | None
    """JSON: `tool_calls`, or the `tool_call_id` and `name` of what answers."""


def api_of(text: str) -> Api:
    """Return the API that a row carries."""
    api: Api = json.loads(text)
    return api


def simulated(api: Api) -> Answering:
    """Return what answers as the simulated API does; calls that go on stay in their world."""
    world, made = World(api), list[Call]()

    async def answer(calls: Sequence[Call]) -> Result:
        nonlocal world, made
        if made != [*calls[:-1]]:
            world, made = World(api), []
            for one in calls[:-1]:
                world.call(**one)
        made = [*calls]
        return world.call(**calls[-1])

    return answer


def tools_of(endpoints: Iterable[Endpoint]) -> str:
    """Return functions as chat templates take them, as JSON: a dataset's `tools`."""
    return json.dumps([function(one) for one in endpoints], ensure_ascii=False)


def documented(endpoints: Iterable[Endpoint]) -> str:
    """Return functions for a prompt, one on each line, after what is said of their APIs."""
    some = [*endpoints]
    heads = {one["tool"]: f"{one['tool']}: {one['about']}" for one in some if one.get("about")}
    told = (json.dumps(function(one)["function"], ensure_ascii=False) for one in some)
    return "\n".join([*heads.values(), *told])


def shown(result: Result) -> str:
    """Return what a model sees of an answer: error and response, as ToolBench's server says it."""
    body, is_ok = result["body"], result["code"] == 0
    told = {"error": "" if is_ok else body["error"], "response": body if is_ok else ""}
    return json.dumps(told, ensure_ascii=False)[:MAX_SEEN]


def glance(api: Api) -> str:
    """Return what the functions that need no argument answer, for a prompt."""
    asks = [
        Call(name=one["name"], arguments={})
        for one in api["endpoints"]
        if one["method"] == "get" and not one["parameters"]["required"]
    ]
    told = zip(asks, replay(api, asks), strict=True)
    return "\n".join(f"{ask['name']}: {shown(one)[:MAX_GLANCE]}" for ask, one in told)


def said(role: Literal["user", "assistant"], content: str) -> ToolTurn:
    """Return a turn that is text."""
    return {"role": role, "content": content, "extra": None}


def calling(calls: Sequence[Call], ids: Sequence[str], said: str = "") -> ToolTurn:
    """Return the assistant's turn that makes calls, all at once if they are several."""
    made = [
        {"id": id_, "type": "function", "function": {**call}}
        for id_, call in zip(ids, calls, strict=True)
    ]
    extra = json.dumps({"tool_calls": made}, ensure_ascii=False)
    return {"role": "assistant", "content": said, "extra": extra}


def answering(id_: str, name: str, seen: str) -> ToolTurn:
    """Return the turn that says what came of a call."""
    extra = json.dumps({"tool_call_id": id_, "name": name}, ensure_ascii=False)
    return {"role": "tool", "content": seen, "extra": extra}


def read_calls(messages: Iterable[Mapping[str, Any]]) -> list[tuple[Call, str | None]]:
    """Return every call of a conversation with what was answered; None where nothing was.

    What is no call (no name, or arguments that are no object) has the name "".
    """
    found: list[tuple[str, Call]] = []
    seen: dict[str, str] = {}
    for turn in messages:
        extra = _object(turn.get("extra"))
        if turn["role"] == "tool":
            seen.setdefault(str(extra.get("tool_call_id")), turn["content"] or "")
        calls = extra.get("tool_calls")
        for one in map(_object, calls if isinstance(calls, list) else []):
            found.append((str(one.get("id")), _call(one)))
    return [(call, seen.get(id_)) for id_, call in found]


def _call(one: Mapping[str, Any]) -> Call:
    told = _object(one.get("function"))
    name, arguments = told.get("name"), _parsed(told.get("arguments"))
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return {"name": "", "arguments": {}}
    return {"name": name, "arguments": arguments}


def _parsed(value: Any) -> Any:
    """Return a value, or what it is the JSON of; None where it is none."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return None


def _object(value: Any) -> dict[str, Any]:
    """Return an object, or what it is the JSON of; an empty one for anything else."""
    told = _parsed(value)
    return told if isinstance(told, dict) else {}


def told_calls(messages: Iterable[Mapping[str, Any]]) -> str:
    """Return calls and their answers for a prompt, one on each line."""
    told = read_calls(messages)
    return "\n".join(f"{one['name']}({json.dumps(one['arguments'])}): {seen}" for one, seen in told)
