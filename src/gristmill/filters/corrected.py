"""Corrected: what people made of a row takes its place, and what they rejected leaves.

Source: Liu et al., "MMInstruct: A High-Quality Multi-Modal Instruction Tuning Dataset with
Extensive Diversity", arXiv:2407.15838, section 3: a part of the rows is corrected by hand.
Differs from the paper: the distance counts words, so that every row says how far it was changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, NotRequired, TypedDict

from pydantic import Field, PrivateAttr, model_validator

from gristmill.errors import InputError
from gristmill.formats.others import absolute, files, pinned
from gristmill.formats.parts import parse
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.rouge import common_length
from gristmill.text.turns import WholeTurn

TEXTS = ("instruction", "input", "output")


class Made(TypedDict):
    """What it reads."""

    id: str
    instruction: NotRequired[str | None]
    input: NotRequired[str | None]
    output: NotRequired[str | None]
    messages: NotRequired[list[WholeTurn] | None]


class Read(TypedDict):
    """What it writes of a row that people have read; nothing of others."""

    instruction: NotRequired[str]
    input: NotRequired[str | None]
    output: NotRequired[str]
    messages: NotRequired[list[WholeTurn] | None]
    reviewed: NotRequired[bool]
    edit_distance: NotRequired[int]
    """Words that were taken out and put in; 0: it was right as it was."""


class Corrected(RowStage):
    """Take the texts of people instead of a model's, by the `id` that the dataset has for a row.

    The run that made the dataset is run again with this stage at its end: what was answered is
    replayed. A file has a row for each that somebody read: `id`, `instruction` and `output` as they
    should be, `input` where there is one; or `id` and `rejected`, which says why it has to leave.
    In `messages` the one question and the one answer follow, parts such as pictures stay. An id
    that no row has is not noticed.
    """

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = frozenset({"reviewed"})

    corrections: tuple[str, ...] = Field(min_length=1)
    """Their files, folders or patterns, in any format of tables."""
    pin: str = ""
    """Of the corrections; filled in from the files, an error where it differs."""

    @model_validator(mode="before")
    @classmethod
    def _pin(cls, given: dict[str, Any]) -> dict[str, Any]:
        return pinned(given, "corrections")

    _files: tuple[str, ...] = PrivateAttr()

    def model_post_init(self, _: Any) -> None:
        """Remember the folder that the recipe was checked in, and read the files."""
        self._files = absolute(self.corrections)
        _corrections(self._files, self.pin)

    def __call__(self, row: Made) -> Read | Drop:
        """Look the row up."""
        said = _corrections(self._files, self.pin).get(row["id"])
        if said is None:
            return {}
        if said.get("rejected"):
            return Drop("reviewed", said["rejected"])
        was: Mapping[str, Any] = row
        changed = sum(_distance(was.get(name) or "", said.get(name) or "") for name in TEXTS)
        if not changed:  # nothing is written anew, so verdicts stay
            return Read(reviewed=True, edit_distance=0)
        return Read(
            instruction=said["instruction"], input=said.get("input"), output=said["output"],
            messages=_corrected(row.get("messages"), said), reviewed=True, edit_distance=changed,
        )  # fmt: skip


@lru_cache(maxsize=4)
def _corrections(paths: tuple[str, ...], pin: str) -> dict[str, Mapping[str, Any]]:
    """Read them once per process and pin; raises InputError for a row that says too little."""
    found = dict[str, Mapping[str, Any]]()
    for path in paths:
        for part in (parse(name, data) for name, data in files(path, "corrections")):
            for line, row in zip(part.lines, part.rows, strict=True):
                at = f"corrections: {part.name} line {line}"
                texts = [row.get(name) for name in ("instruction", "output")]
                whole = [row.get("rejected")] if row.get("rejected") else texts
                if not all(
                    isinstance(text, str) and text.strip() for text in (row.get("id"), *whole)
                ):
                    raise InputError(f"{at}: expected id, and instruction and output or rejected")
                if row["id"] in found:
                    raise InputError(f"{at}: the id {row['id']} was there before")
                found[row["id"]] = row
    return found


def _corrected(turns: list[WholeTurn] | None, said: Mapping[str, Any]) -> list[WholeTurn] | None:
    """Return the turns with the new question and answer; ValueError where there are several."""
    if not turns:
        return turns
    new = {
        "user": "\n\n".join(filter(None, (said["instruction"], said.get("input")))),
        "assistant": said["output"],
    }
    if sorted(turn["role"] for turn in turns if turn["role"] in new) != sorted(new):
        raise ValueError("a conversation of several turns cannot be corrected by its first")
    return [
        WholeTurn(role=turn["role"], content=new[turn["role"]], extra=_parts(turn, new))
        if turn["role"] in new else turn
        for turn in turns
    ]  # fmt: skip


def _parts(turn: WholeTurn, new: Mapping[str, str]) -> str | None:
    """Return what else a turn carries, with the new text where its parts say the old one."""
    if not turn["extra"]:
        return turn["extra"]
    extra = json.loads(turn["extra"])
    for part in extra.get("content") or ():
        if part.get("type") == "text" and part.get("text") == turn["content"]:
            part["text"] = new[turn["role"]]
    return json.dumps(extra, ensure_ascii=False)


def _distance(old: str, new: str) -> int:
    before, after = old.split(), new.split()
    return len(before) + len(after) - 2 * common_length(before, after)
