"""Pairs: a preference as a row, with where it comes from; the same columns whoever makes one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from gristmill.text.turns import Turn, WholeTurn, whole


class Pair(TypedDict, total=False):
    """What the stages that make pairs write: a row is a pair or an example, never both."""

    output: str | None
    """None in a pair: what is learnt is the preference."""
    messages: list[WholeTurn] | None
    """The conversation that both answers end, where the prompt is more than one question."""
    prompt: str | None
    chosen: str | None
    rejected: str | None
    margin: float | None
    """How much better `chosen` is, in the units of the stage."""
    chosen_from: str | None
    """Who wrote `chosen`: a role, a turn or a workflow."""
    rejected_from: str | None


def pair(
    prompt: str,
    chosen: str,
    rejected: str,
    margin: float | None,
    writers: tuple[str, str],
    asked: Sequence[Turn] | None = None,
) -> Pair:
    """Return a pair's columns; `asked` are the turns before the answers if they are several."""
    messages = [whole(turn["role"], turn["content"]) for turn in asked or ()]
    return Pair(
        output=None,
        messages=messages or None,
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        margin=margin,
        chosen_from=writers[0],
        rejected_from=writers[1],
    )


class Compared(TypedDict):
    """A pair to be judged: the request as `prompt`, else as an instruction with its input."""

    prompt: NotRequired[str | None]
    instruction: NotRequired[str | None]
    input: NotRequired[str | None]
    chosen: str
    rejected: str
