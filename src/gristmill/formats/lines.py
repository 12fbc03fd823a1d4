"""Lines: what a trainer's file has for one row, or why it has none.

A line for a trainer ends with an answer, because that is what is learnt: turns that come after the
last one are left out. A format takes a row whole or not at all; what does not fit has a reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from gristmill.storage.rows import Row
from gristmill.text.chat import Turn, calls_tools, chatml, exchange, sharegpt
from gristmill.text.detectors import is_marker
from gristmill.text.turns import question

PLAIN = {"role", "content"}
PAIR = ("margin", "chosen_from", "rejected_from")
"""What the stage that made a pair may say of it: how much better, and who wrote which."""


def talk(row: Row) -> tuple[list[Turn], int]:
    """Return the conversation that a row is, up to its last answer, and how many turns follow it.

    There are no turns if nothing in it answers.
    """
    turns: list[Turn] | None = row.get("messages")
    asked, answered = row["instruction"], row["output"]
    if turns and exchange(turns) == (asked, answered):
        answers = [i for i, turn in enumerate(turns, 1) if turn["role"] == "assistant"]
        return (turns[: answers[-1]], len(turns) - answers[-1]) if answers else ([], 0)
    if not asked or answered is None:
        return [], 0
    said = (("user", question(asked, row["input"])), ("assistant", answered))
    return [{"role": role, "content": content, "extra": None} for role, content in said], 0


def pair(row: Row) -> Row | str:
    """Return a pair as preference trainers read it: turns that ask, and an answer turn of each.

    The turns are the row's messages where they end with a question, or with it and `chosen`.
    """
    chosen, rejected = row.get("chosen"), row.get("rejected")
    if not chosen or not rejected:
        return "no pair"
    turns: list[Turn] = row.get("messages") or []
    if turns and turns[-1]["role"] == "assistant" and turns[-1]["content"] == chosen:
        turns = turns[:-1]
    if not turns or turns[-1]["role"] != "user":
        asked = row.get("prompt") or question(row["instruction"], row["input"])
        turns = [{"role": "user", "content": asked, "extra": None}] if asked else []
    if not turns:
        return "no prompt"
    _, told = pair_notes(row.get("meta"))
    answers = {
        name: [{"role": "assistant", "content": text}]
        for name, text in (("chosen", chosen), ("rejected", rejected))
    }
    said = {name: told[name] for name in PAIR if told.get(name) is not None}
    return {"prompt": [chatml(turn) for turn in turns], **answers, **said}


def ranking(row: Row) -> Row | str:
    """Return a pair as LLaMA-Factory ranks it: ShareGPT turns, and an answer of each."""
    made = pair(row)
    if isinstance(made, str):
        return made
    turns = [sharegpt(turn) for turn in made["prompt"]]
    said = [turn["from"] for turn in turns if turn["from"] != "system"]
    is_text = all(set(turn) == {"from", "value"} for turn in turns)
    if said != (["human", "gpt"] * len(said))[: len(said)] or said[-1:] != ["human"] or not is_text:
        return "turns that are no exchange of texts"
    answers = {name: sharegpt(made[name][0]) for name in ("chosen", "rejected")}
    return {"conversations": turns, **answers}


def pair_notes(meta: str | None) -> tuple[str, Row]:
    """Return the label of the stage that made a row's pair, and what it says of it."""
    for label, told in json.loads(meta or "{}").items():
        if isinstance(told, dict) and told.get("chosen_from"):
            return label, told
    return "", {}


def is_more(turns: Sequence[Turn]) -> bool:
    """Say whether turns are more than a question and an answer in plain text."""
    roles = [turn["role"] for turn in turns]
    return roles != ["user", "assistant"] or any(not _is_text(turn) for turn in turns)


def misfit(turns: Sequence[Turn]) -> str:
    """Say why turns are no exchanges in plain text."""
    if any(turn["role"] == "tool" or calls_tools(turn) for turn in turns):
        return "tools"
    if any(not _has_words_only(turn) for turn in turns):
        return "parts that are no text"
    return "turns out of order" if all(map(_is_text, turns)) else "turns with more than text"


def _is_text(turn: Turn) -> bool:
    return not chatml(turn).keys() - PLAIN and _has_words_only(turn)


def _has_words_only(turn: Turn) -> bool:
    """Say whether a turn's content is a text, or parts that are texts: no image, no sound."""
    content = chatml(turn)["content"]
    parts = content if isinstance(content, list) else [content]
    return all(
        isinstance(part, str | None) or (isinstance(part, dict) and part.get("type") == "text")
        for part in parts
    )


def _messages(row: Row, turns: Sequence[Turn], is_plain: bool) -> Row:
    return {"messages": [chatml(turn) for turn in turns], **_tools(row, turns)}


def _sharegpt(row: Row, turns: Sequence[Turn], is_plain: bool) -> Row:
    return {"conversations": [sharegpt(turn) for turn in turns], **_tools(row, turns)}


def _tools(row: Row, turns: Sequence[Turn]) -> Row:
    """Return the functions that may be called: the row's, else those of the stage that called."""
    tools = _functions(row.get("tools"))
    if tools is None and any(map(calls_tools, turns)):
        told = json.loads(row.get("meta") or "{}").values()
        written = (_functions(one.get("tools")) for one in told if isinstance(one, dict))
        tools = next(filter(None, written), None)
    return {} if tools is None else {"tools": tools}


def _functions(told: Any) -> list[Any] | None:
    """Return functions as the list of objects that trainers take; None of what names none.

    They may come as objects or as JSON, one by one or all together.
    """
    told = _parsed(told)
    found = [_parsed(one) for one in (told if isinstance(told, list) else [told])]
    return found if all(isinstance(one, dict) for one in found) else None


def _parsed(told: Any) -> Any:
    try:
        return json.loads(told) if isinstance(told, str) else told
    except ValueError:
        return None


def _prompt_completion(row: Row, turns: Sequence[Turn], is_plain: bool) -> Row:
    if is_plain:
        return {"prompt": turns[0]["content"], "completion": turns[-1]["content"]}
    return {
        "prompt": [chatml(turn) for turn in turns[:-1]],
        "completion": [chatml(turns[-1])],
        **_tools(row, turns),
    }


def _alpaca(row: Row, turns: Sequence[Turn], is_plain: bool) -> Row | str:
    if not is_more(turns):
        input_ = "" if is_marker(row["input"] or "") else row["input"] or ""
        line = {"instruction": row["instruction"], "input": input_, "output": row["output"]}
        return line if is_plain else {**line, "system": "", "history": []}
    system = turns[0]["content"] if turns[0]["role"] == "system" else ""
    said = turns[1:] if system else turns
    pairs = list(zip(said[::2], said[1::2], strict=False))
    roles = ["user", "assistant"] * len(pairs)
    if [turn["role"] for turn in said] != roles or not all(map(_is_text, turns)):
        return misfit(turns)
    *history, (asked, answered) = [[turn["content"] for turn in pair] for pair in pairs]
    line = {"instruction": asked, "input": "", "output": answered}
    return {**line, "system": system, "history": history}


WRITERS: dict[str, Callable[[Row, Sequence[Turn], bool], Row | str]] = {
    "messages": _messages,
    "sharegpt": _sharegpt,
    "alpaca": _alpaca,
    "prompt-completion": _prompt_completion,
}
"""A row, its turns, and whether every row is one exchange in plain text: its line, or a reason."""
