"""Chat turns: read from ChatML and ShareGPT, written as either; nothing a turn carried is lost.

A turn is `role`, `content` and `extra`, which is JSON of everything else: tool calls, names,
content parts (the text of which is `content`), and a label that has no role of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Turn = dict[str, Any]

ROLES = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "assistant", "bot", "model", "chatgpt", "function_call"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("tool", "function", "function_response", "observation"), "tool"),
}
LABELS = {"user": "human", "assistant": "gpt"}
"""ShareGPT's names for the roles it names differently."""


def is_turns(value: Any) -> bool:
    """Say whether a value looks like the turns of one conversation."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, dict) and ("role" in turn or "from" in turn) for turn in value)
    )


def read_turn(raw: Mapping[str, Any]) -> Turn:
    """Return a turn in our form; ValueError says what it lacks."""
    shared = "role" not in raw
    label, content = (raw.get("from"), raw.get("value")) if shared else (raw["role"], None)
    content = raw.get("content", content)
    if not isinstance(label, str):
        raise ValueError(  # noqa: TRY004 - the caller sets the row aside
            f"a turn's role is {label!r}, expected a text such as 'user'"
        )
    if raw.keys() == {"role", "content", "extra"} and _is_extra(raw["extra"]):
        return dict(raw)
    role = ROLES.get(label.lower(), label)
    said = ("from", "value") if shared else ("role", "content")
    extra = {key: value for key, value in raw.items() if key not in said and value is not None}
    if label != (LABELS.get(role, role) if shared else role):
        extra["from" if shared else "role"] = label
    if content is not None and not isinstance(content, str):
        extra["content"] = content
        content = _text(content)
    packed = json.dumps(extra, ensure_ascii=False) if extra else None
    return {"role": role, "content": content, "extra": packed}


def chatml(turn: Mapping[str, Any]) -> dict[str, Any]:
    """Return a turn as `role` and `content`, with everything that it carried."""
    extra = json.loads(turn["extra"]) if turn.get("extra") else {}
    extra.pop("from", None)
    return {"role": turn["role"], "content": turn["content"], **extra}


def sharegpt(turn: Mapping[str, Any]) -> dict[str, Any]:
    """Return a turn as `from` and `value`, with everything that it carried."""
    extra = json.loads(turn["extra"]) if turn.get("extra") else {}
    extra.pop("role", None)
    label = LABELS.get(turn["role"], turn["role"])
    return {"from": label, "value": turn["content"], **extra}


def exchange(turns: Sequence[Mapping[str, Any]]) -> tuple[str | None, str | None]:
    """Return what the user said first and the assistant last: of one exchange, all there is."""
    asked = (turn["content"] for turn in turns if turn["role"] == "user")
    answered = (turn["content"] for turn in reversed(turns) if turn["role"] == "assistant")
    return next(asked, None), next(answered, None)


def calls_tools(turn: Mapping[str, object]) -> bool:
    """Say whether a turn calls a tool: it may do so without a word."""
    extra = json.loads(str(turn["extra"])) if turn.get("extra") else {}
    return bool(extra.get("tool_calls") or extra.get("function_call"))


def one_by_one(turns: Sequence[Turn]) -> list[Turn]:
    """Return the turns with one call each, and behind it what answered it.

    What was said beside several calls stays with the first. An answer belongs to the call that it
    names, of several with that name the next, else to the one in its place.
    """
    made, at = list[Turn](), 0
    while at < len(turns):
        turn, at = turns[at], at + 1
        calls = _extra(turn).get("tool_calls")
        if not isinstance(calls, list) or len(calls) < 2:
            made.append(turn)
            continue
        answers = list[Turn]()
        while at < len(turns) and turns[at]["role"] == "tool":
            answers, at = [*answers, turns[at]], at + 1
        made += _alone(turn, calls, answers)
    return made


def _alone(turn: Turn, calls: list[Any], answers: list[Turn]) -> Iterator[Turn]:
    ids = [one.get("id") if isinstance(one, dict) else None for one in calls]
    named = [_extra(answer).get("tool_call_id") for answer in answers]
    places = list[int]()
    for i, name in enumerate(named):
        meant = [k for k, one in enumerate(ids) if name and one == name] or [i]
        places.append(next((k for k in meant if k not in places), meant[0]))
    for i, call in enumerate(calls):
        extra = {**(_extra(turn) if i == 0 else {}), "tool_calls": [call]}
        told = json.dumps(extra, ensure_ascii=False)
        yield {**turn, "content": turn["content"] if i == 0 else "", "extra": told}
        last = i == len(calls) - 1
        for place, answer in zip(places, answers, strict=True):
            if place == i or (last and place > i):
                yield answer


def _extra(turn: Turn) -> dict[str, Any]:
    return json.loads(turn["extra"]) if turn.get("extra") else {}


def _is_extra(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.startswith("{"))


def _text(content: Any) -> str:
    """Join the texts of content parts; anything else is shown as JSON."""
    parts = content if isinstance(content, list) else [content]
    texts = [p if isinstance(p, str) else p.get("text") for p in parts if isinstance(p, str | dict)]
    found = [text for text in texts if isinstance(text, str)]
    return "\n".join(found) if found else json.dumps(content, ensure_ascii=False)
