"""Segment roles: tokens of a row with the role of each, for a model that embeds segments.

Source: Wu et al., "Instructional Segment Embedding: Improving LLM Safety with Instruction
Hierarchy", arXiv:2410.09102, section 3 (system 0, user 1, data 2, output 3).
Differs from the paper: only the data side is here. Every span is tokenised by itself, without
a chat template, which could merge a system text into the user's; loss is on the answer alone, and
calls of tools are part of it, as a line of JSON each.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.models import locate
from gristmill.engines.tokens import Tokens
from gristmill.pipelines.stage import RowStage
from gristmill.text.detectors import is_marker
from gristmill.text.tool_calls import read_calls
from gristmill.text.turns import WholeTurn

SEGMENTS = {"system": 0, "user": 1, "tool": 2, "assistant": 3}
"""Role of a message -> its segment; what a tool said is data, and so is the input of a row."""
DATA = 2
IGNORED = -100
"""Label of a token without loss, as trainers have it."""


class Row(TypedDict):
    """What it reads."""

    instruction: NotRequired[str | None]
    input: NotRequired[str | None]
    output: NotRequired[str | None]
    messages: NotRequired[list[WholeTurn] | None]


class Segments(TypedDict):
    """What it writes: three lists of one length."""

    input_ids: list[int]
    labels: list[int]
    """The ids of what the assistant says, -100 elsewhere."""
    segment_ids: list[int]
    """0 system, 1 user, 2 data, 3 assistant."""


class SegmentRoles(RowStage):
    """Tokenise a row span by span."""

    version: ClassVar[int] = 2

    tokenizer: str = Field(default="demo", pattern=r"\S")
    """The trainee's: a folder, a name on the Hub, or `demo`."""

    def __call__(self, row: Row) -> Segments:
        """Take the turns in order, or instruction, data and answer."""
        ids, labels, segments = list[int](), list[int](), list[int]()
        for segment, text in _spans(row):
            found = _encode(self.tokenizer, text)
            ids += found
            labels += found if segment == SEGMENTS["assistant"] else [IGNORED] * len(found)
            segments += [segment] * len(found)
        return {"input_ids": ids, "labels": labels, "segment_ids": segments}


def _spans(row: Row) -> list[tuple[int, str]]:
    """Return segment and text of every span that is not empty."""
    if messages := row.get("messages"):
        spans = [(SEGMENTS.get(turn["role"], DATA), _said(turn)) for turn in messages]
    else:
        given = row.get("input") or ""
        data = "" if is_marker(given) else given
        spans = [
            (SEGMENTS["user"], row.get("instruction") or ""),
            (DATA, data),
            (SEGMENTS["assistant"], row.get("output") or ""),
        ]
    return [(segment, text) for segment, text in spans if text]


def _said(turn: WholeTurn) -> str:
    """Return what a turn says, and below it what it calls."""
    told = read_calls([turn]) if turn["role"] == "assistant" else []
    calls = [json.dumps(call, ensure_ascii=False) for call, _ in told]
    return "\n".join(filter(None, [turn["content"], *calls]))


def _encode(tokenizer: str, text: str) -> list[int]:
    ids = _loaded(tokenizer)(text, add_special_tokens=False)["input_ids"]
    return [int(one) for one in ids]


@lru_cache(maxsize=2)
def _loaded(name: str) -> Any:
    return Tokens(locate(name)).tokenizer
