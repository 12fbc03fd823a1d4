"""MulDimIF, third pattern: put solved rows in front of an instruction with the same constraints.

Source: Ye et al., "A Multi-Dimensional Constraint Framework for Evaluating and Improving
Instruction Following in Large Language Models", arXiv:2505.07591, section 3.3 (example);
`Junjie-Ye/MulDimIF` (Apache-2.0): up to three examples, four tiers of likeness.
Differs from the paper: a row is answered before its examples stand in front of it, and no example
comes from the same seed.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Hashable, Iterator
from typing import Any, ClassVar, TypedDict, get_type_hints

import pyarrow as pa
from pydantic import Field

from gristmill.constraints.wanted import shape
from gristmill.formats.annotations import arrow
from gristmill.pipelines.stage import TableStage, decisions
from gristmill.storage.rows import CONTENT
from gristmill.text.turns import WholeTurn

SHOT = "Instruction: {instruction}\nAnswer: {output}"


class Written(TypedDict):
    """What it writes."""

    messages: list[WholeTurn] | None
    """The examples and the instruction in one question, and the answer; None for other patterns,
    and what `instruction` says stays."""
    tier: int | None
    """1 (the same constraints in the same order) to 4; None where the pattern is another."""


class MulDimIfExamples(TableStage):
    """Give each row of the pattern `example` some rows that passed; without any it leaves."""

    codes: ClassVar[frozenset[str]] = frozenset({"no_example"})

    shots: int = Field(default=3, ge=1)
    """Examples at most."""
    seed: int = 0
    """Decides which of many stand there."""
    of: str = Field(default="constraints", pattern=r"^\w+$")
    """Label of the verifier; rows that did not pass are no examples."""

    @property
    def columns(self) -> tuple[str, str, str]:
        """Where pattern, constraints and verdict stand."""
        made = "meta.mul_dim_if_patterns.pattern", "meta.mul_dim_if.constraints"
        return *made, f"verdicts.{self.of}.passed"

    def reads(self) -> frozenset[str]:
        """The verdict's column depends on `of`."""
        return frozenset({"instruction", "output", "root", *self.columns})

    def writes(self) -> dict[str, pa.DataType]:
        """Their types."""
        return {name: arrow(hint) for name, hint in get_type_hints(Written).items()}

    def decide(self, table: Any) -> pa.Table:
        """(n, 7) -> (n, 6): rows of other patterns stay as they are."""
        rows = table.to_pylist()
        pattern, constraints, passed = self.columns
        shapes = [shape(row[constraints]) for row in rows]
        solved: dict[tuple[int, Hashable], list[int]] = defaultdict(list)
        for place, row in enumerate(rows):
            if row[passed] and row[pattern] != "example":
                for tier, key in tiers(shapes[place]):
                    solved[tier, key].append(place)
        talks = list[list[WholeTurn] | None]([None] * len(rows))
        found = list[int | None]([None] * len(rows))
        for place, row in enumerate(rows):
            if row[pattern] != "example":
                continue
            for tier, key in tiers(shapes[place]):
                near = [i for i in solved[tier, key] if rows[i]["root"] != row["root"]]
                if near:
                    of = random.Random(f"{self.seed} {row['id']}")
                    shown = of.sample(near, min(self.shots, len(near)))
                    asked = SHOT.format(instruction=row["instruction"], output="").rstrip()
                    text = "\n\n".join([*(SHOT.format(**rows[i]) for i in shown), asked])
                    talks[place] = [
                        WholeTurn(role="user", content=text, extra=None),
                        WholeTurn(role="assistant", content=row["output"], extra=None),
                    ]
                    found[place] = tier
                    break
        keep = [
            tier is not None or row[pattern] != "example"
            for tier, row in zip(found, rows, strict=True)
        ]
        return decisions(
            table,
            keep,
            "no_example",
            "no solved row has such constraints",
            messages=pa.array(talks, CONTENT["messages"]),
            tier=pa.array(found, pa.int64()),
        )


def tiers(of: list[tuple[str, str]]) -> Iterator[tuple[int, Hashable]]:
    """Return what two rows share on each tier, the closest first; `of` is never empty.

    The last category is the one that was added last; what stands before it is earlier.
    """
    last = of[-1][0]
    earlier = [place for place in of if place[0] != last]
    latest = tuple(sub for category, sub in of if category == last)
    before = [category for category, _ in earlier]
    yield 1, tuple(of)
    yield 2, (frozenset(earlier), last)
    yield 3, (tuple(before), latest)
    yield 4, tuple(dict.fromkeys(before))
