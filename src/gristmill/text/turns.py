"""Turns: a row as a conversation, whichever way it came in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

from gristmill.text.detectors import is_marker

Role = Literal["system", "user", "assistant"]
TEXTS = frozenset({"instruction", "input", "output", "messages"})
"""Columns that a conversation is read from; a row has some of them."""


class Turn(TypedDict):
    """One message: who, and what."""

    role: Role
    content: str


class WholeTurn(Turn):
    """A message as a row's `messages` keep it; `extra` is JSON of what else it carries."""

    extra: str | None


class Spoken(TypedDict):
    """The turns of a row, and the language that it says they are in."""

    instruction: NotRequired[str | None]
    input: NotRequired[str | None]
    output: NotRequired[str | None]
    messages: NotRequired[list[Turn] | None]
    chosen: NotRequired[str | None]
    lang: NotRequired[str | None]


class Texts(TypedDict):
    """Everything that can be said in a row, for stages that look at all of it."""

    instruction: NotRequired[str | None]
    input: NotRequired[str | None]
    output: NotRequired[str | None]
    messages: NotRequired[list[Turn] | None]
    prompt: NotRequired[str | None]
    chosen: NotRequired[str | None]
    rejected: NotRequired[str | None]
    flags: NotRequired[list[str] | None]


def user(text: str) -> Turn:
    """Return what a user says to a model."""
    return {"role": "user", "content": text}


def whole(role: Role, content: str) -> WholeTurn:
    """Return a turn as a row keeps it."""
    return {"role": role, "content": content, "extra": None}


def question(instruction: str | None, given: str | None) -> str:
    """Return an instruction and the text that it is about as one message.

    A note such as `<noinput>` in the place of the text is no part of it.
    """
    asked = instruction if instruction and instruction.strip() else ""
    if not given or not given.strip() or is_marker(given):
        return asked
    return f"{asked}\n\n{given}" if asked else given


def turns(row: Mapping[str, Any]) -> list[Turn]:
    """Return a row's conversation: its messages, else one exchange; without empty messages.

    Only an answer may be empty, because that is for a scorer to say.
    """
    if messages := row.get("messages"):
        return [
            {"role": turn["role"], "content": turn["content"] or ""}
            for turn in messages
            if turn["content"] or turn["role"] == "assistant"
        ]
    answer: Turn = {"role": "assistant", "content": row.get("output") or ""}
    asked = question(row.get("instruction"), row.get("input"))
    return [{"role": "user", "content": asked}, answer] if asked else [answer]


def preferred(row: Mapping[str, Any]) -> list[Turn]:
    """Return a row's conversation; that of a pair ends with the answer that is preferred."""
    chosen: Turn = {"role": "assistant", "content": row.get("chosen") or ""}
    return [*turns(row), chosen] if chosen["content"] else turns(row)


def answers(row: Mapping[str, Any]) -> list[str]:
    """Return what the assistant said; of a pair the answer that is preferred, too."""
    return [turn["content"] for turn in preferred(row) if turn["role"] == "assistant"]


def said(row: Mapping[str, Any]) -> list[str]:
    """Return everything that a row says: its turns, and both answers of a pair."""
    pair = [row.get(name) or "" for name in ("prompt", "chosen", "rejected")]
    return [*(turn["content"] for turn in turns(row)), *pair]


def parts(row: Mapping[str, Any], name: str) -> list[str]:
    """Return the texts of a row that compare as its instruction, input or output.

    Of a conversation with more than one question they are all that the user said and all that the
    assistant said: many begin, or end, with the same words.
    """
    talk = turns(row) if row.get("messages") else []
    if sum(turn["role"] == "user" for turn in talk) > 1:
        side = {"instruction": "user", "output": "assistant"}.get(name)
        texts = [turn["content"] for turn in talk if turn["role"] == side]
    else:
        text = row.get(name) or ""
        texts = [] if name == "input" and is_marker(text) else [text]
    return [text for text in texts if text.strip()]
