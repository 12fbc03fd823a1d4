"""Diagnosis: which of the new instructions do students answer badly, and which labels fail.

Source: Li et al., "Infinity Instruct", arXiv:2506.11116 (phase 2): instructions of every label are
answered by two mid-size models and scored by a strong judge; where both do badly, the instruction
is evolved again. "InfinityInstruct-Subject", arXiv:2507.06968: the model tuned so far is asked, and
labels that it fails get new instructions.
Differs from the papers: known from accounts of them; our own prompt, probes, limits and weights.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from math import sqrt
from typing import Annotated, Any, ClassVar, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.engines.requests import Message, Op, Sampling
from gristmill.geometry.picks import drawn
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import complete
from gristmill.pipelines.stage import Drop, TableStage, decisions
from gristmill.text.pools import values
from gristmill.text.probing import WORST, failing, probed
from gristmill.text.turns import question

RATE = """Rate an answer to an instruction from 1 to 10, for how correct, complete and helpful it \
is: 10 could not be better, 5 and below would not help the person who asks. Its length says \
nothing. Reply with the number alone.

### Instruction
{instruction}

### Answer
{answer}

### Rating"""
NUMBER = re.compile(r"\W*(?:rating\W*)?(10|[1-9](?:\.\d+)?)(?:\s*/\s*10)?\W*(?:\n|$)", re.I)


class Diagnosed(TypedDict):
    """What it writes; None where a row was no probe, or a rating could not be read."""

    ratings: list[float] | None
    """One per student, 1 to 10, higher is better."""
    is_weak: bool | None
    """Whether every student did badly."""
    failing: list[str]
    """Those of the row's labels that fail in this round."""
    weights: list[float]
    """How much each of them needs new rows: its fail rate over the root of its frequency and 1."""


class Diagnosis(TableStage):
    """Probe every label by a few rows, answered by all students; no row leaves.

    Where a rating cannot be read, another row of the label is asked, as long as there is one.
    """

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = frozenset()

    by: str = Field(pattern=r"^\w+(\.\w+)*$")
    """Column with a list of labels."""
    students: tuple[str, ...] = Field(default=("first_student", "second_student"), min_length=1)
    """Roles that answer; a row is weak where all of them are."""
    probes: int = Field(default=10, ge=1)
    """Rows of a label, at least `least`, drawn by their ids; each is a probe for all its labels."""
    least: int = Field(default=10, ge=1)
    """Probes from which on a label can fail, where most could be rated: of ten, six bad ones may be
    0.31 to 0.83 of all."""
    below: float = Field(default=5.0, ge=1, le=10)
    """A rating up to which an answer is bad. Our choice."""
    fewest: int = Field(default=1, ge=1)
    """Weak rows from which on a label fails: one alone may be the judge's error."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=1024)
    """Of the students; the judge is greedy, too."""
    seed: int = 0
    """Of the draw."""

    def reads(self) -> frozenset[str]:
        """The labels are a parameter."""
        return frozenset({"instruction", "input", self.by})

    def needs(self) -> dict[str, Op]:
        """The judge should be none of the students."""
        return {**dict.fromkeys(self.students, "generate"), "judge": "generate"}

    async def decide(self, table: pa.Table, ctx: Context) -> Annotated[pa.Table, Diagnosed]:
        """(n, 4) -> (n, 7)."""
        labels = [found or [] for found in table[self.by].to_pylist()]
        rows, order = table.to_pylist(), drawn(table, self.seed).tolist()
        asked: dict[int, list[float] | None] = {}
        while chosen := probed(labels, order, max(self.probes, self.least), asked):
            asks = (self._ratings(rows[place], ctx.branch(place)) for place in chosen)
            asked.update(found := dict(zip(chosen, await asyncio.gather(*asks), strict=True)))
            if not any(found.values()):  # a judge that says nothing is not asked about all rows
                break
        ratings = [asked.get(place) for place in range(len(rows))]
        weak = [found and max(found) <= self.below for found in ratings]
        rates = failing(labels, asked, below=self.below, least=self.least, fewest=self.fewest)
        earlier = [] if ctx.pool is None else values(ctx.pool, self.by)
        common = Counter(label for names in [*labels, *earlier] for label in names or ())
        needs = {label: rate * sqrt(1 / (common[label] + 1)) for label, rate in rates.items()}
        fail = [[label for label in names if label in needs] for names in labels]
        weights = [[needs[label] for label in names] for names in fail]
        columns = {"ratings": ratings, "is_weak": weak, "failing": fail, "weights": weights}
        made: Any = {name: pa.array(columns[name], kind) for name, kind in self.writes().items()}
        return decisions(table, [True] * len(table), "", **made)

    async def _ratings(self, row: Any, ctx: Context) -> list[float] | None:
        """Return a rating per student; None when one of them cannot be read."""
        asked = question(row["instruction"], row["input"])
        pairs = [self._rating(asked, role, ctx.branch(i)) for i, role in enumerate(self.students)]
        found = await asyncio.gather(*pairs)
        return None if None in found else found  # type: ignore[return-value]  # no None in it

    async def _rating(self, asked: str, student: str, ctx: Context) -> float | None:
        ask: list[Message] = [{"role": "user", "content": asked}]
        answer = await complete(ctx.llm(student), ask, self.sampling, whole=False)
        if isinstance(answer, Drop):
            return WORST if answer.code == "empty" else None
        text = RATE.format(instruction=asked, answer=answer.text.strip())
        ask = [{"role": "user", "content": text}]
        how = Sampling(temperature=0.0, max_tokens=16)
        said = await complete(ctx.llm("judge"), ask, how, whole=False)
        found = None if isinstance(said, Drop) else NUMBER.match(said.text)
        return float(found[1]) if found else None
