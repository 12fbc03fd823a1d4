"""StruQ: put the instruction of another row into the data of half of the rows; answers stay.

Source: Chen et al., "StruQ: Defending Against Prompt Injection with Structured Queries",
arXiv:2402.06363, sections 4 and 5; the released code is CC BY-NC 4.0, and nothing of it is here.
Differs from the paper: delimiters, styles and phrases are ours; the shares are those of the rows
with data, since no other can be attacked; a row is never attacked with a task of the same answer,
and one for which no other task is found leaves its place to the next.
"""

from __future__ import annotations

import random
from typing import Annotated, ClassVar, Literal, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.geometry.picks import drawn
from gristmill.pipelines.stage import TableStage, decisions
from gristmill.storage.rows import TEXT
from gristmill.text.attacks import completion, front_end, ignoring, naive, structured
from gristmill.text.rouge import repeats
from gristmill.text.words import words

Attack = Literal["naive", "completion", "ignore"]
TRIES = 8
"""Other rows that are looked at for an attack on one."""


class Asked(TypedDict):
    """What it reads."""

    instruction: str
    input: str | None
    output: str


class Attacked(TypedDict):
    """What it writes."""

    input: str | None
    output: str
    attack: str
    """none, or the kind."""
    injected: str | None
    """The instruction of the other row."""
    query: str
    """The row with reserved delimiters, `gristmill.text.attacks.RESERVED`: what to train on."""


class StruQ(TableStage):
    """Attack a share of the rows that have an input, in equal parts by each attack."""

    version: ClassVar[int] = 2

    share: float = Field(default=0.5, ge=0, le=1)
    """Of the rows with data; the others stay clean."""
    attacks: tuple[Attack, ...] = Field(default=("naive", "completion"), min_length=1)
    """The paper trains with these two; `ignore` is the third that it tests with."""
    split: Literal["train", "test"] = "train"
    """For a test: styles and phrases that training never shows."""
    seed: int = 0

    def decide(self, table: Annotated[pa.Table, Asked]) -> Annotated[pa.Table, Attacked]:
        """(n, 4) -> (n, 9): every row stays."""
        rows = table.to_pylist()
        order = [int(place) for place in drawn(table, self.seed)]
        fit = [place for place in order if (rows[place]["input"] or "").strip()]
        n = round(self.share * len(fit))
        kinds = dict[int, Attack]()
        others = dict[int, int]()
        for place in fit:
            other = self._other(rows, order, place) if len(kinds) < n else None
            if other is not None:
                kinds[place] = self.attacks[len(kinds) % len(self.attacks)]
                others[place] = other
        inputs = list[str | None]()
        for place, row in enumerate(rows):
            data = row["input"]
            if place in kinds:
                data = self._attacked(row, rows[others[place]], kinds[place])
            inputs.append(data)
        queries = [
            structured(row["instruction"], data or "")
            for row, data in zip(rows, inputs, strict=True)
        ]
        return decisions(
            table,
            [True] * len(rows),
            "",
            input=pa.array(inputs, TEXT),
            output=table["output"],
            attack=pa.array([kinds.get(i, "none") for i in range(len(rows))], TEXT),
            injected=pa.array(
                [rows[others[i]]["instruction"] if i in others else None for i in range(len(rows))],
                TEXT,
            ),
            query=pa.array(queries, TEXT),
        )

    def _other(self, rows: list[dict[str, str]], order: list[int], place: int) -> int | None:
        """Return a row whose task has another answer; None where a few draws find none."""
        of = random.Random(f"{self.seed} {rows[place]['id']} other")
        mine = words(rows[place]["output"])
        for other in (of.choice(order) for _ in range(TRIES)):
            if other != place and not repeats(words(rows[other]["output"]), mine):
                return other
        return None

    def _attacked(self, row: dict[str, str], other: dict[str, str], kind: Attack) -> str:
        of = random.Random(f"{self.seed} {row['id']} {kind}")
        is_test = self.split == "test"
        data, task = front_end(row["input"]), naive(other["instruction"], other["input"] or "")
        if kind == "naive":
            return naive(data, task.strip())
        if kind == "ignore":
            return ignoring(data, task.strip(), of, is_test=is_test)
        return completion(data, row["output"], task.strip(), of, is_test=is_test)
