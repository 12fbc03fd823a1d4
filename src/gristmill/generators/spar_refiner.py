"""SPaR, rows for the refiner: judgements and refinements that the search has shown to be right.

Source: Cheng et al., "SPaR: Self-Play with Tree-Search Refinement to Improve Instruction-Following
in Large Language Models", arXiv:2412.11605, section 2.4 (the refiner is tuned by rejection
sampling); `thu-coai/SPaR` (Apache-2.0) caps 4,000 refinements, 1,500 judgements for and 1,000
against, 500 of first answers and 2,500 of others: the recipe does.
Differs from the paper: one judgement of each answer. With `as: spar_search` it makes the calls that
`spar_search` makes, and finds their answers in the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, TypedDict

from gristmill.engines.requests import Message
from gristmill.generators.spar import END, START
from gristmill.generators.spar_search import Asked, SparSearch, judging, refining
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES
from gristmill.pipelines.stage import Drop
from gristmill.text.judgements import Grown, Judged
from gristmill.text.turns import WholeTurn

Part = Literal["refinement", "judged_good", "judged_bad"]
Level = Literal["first", "refined", "refinement"]


class Taught(TypedDict):
    """What it writes."""

    instruction: str
    output: str
    messages: list[WholeTurn]
    """What the refiner is asked, and what it should say; a refinement shows its judgement, too."""
    part: str
    """refinement, judged_good or judged_bad."""
    level: str
    """What is judged, first or refined answers; or refinement, again."""
    value: float
    """0..1: share of the judgements in favour of the answer."""


class SparRefiner(SparSearch):
    """Search as `spar_search` does, and show the refiner what it should have said.

    A judgement is right if it is the majority's, a refinement if the majority likes it.
    """

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"no_majority"}

    async def __call__(self, row: Asked, ctx: Context) -> list[Taught | Drop]:  # type: ignore[override]  # other rows of the same search
        """Make a row of every judged answer, and one of every refinement that passed."""
        grown = await self.grow(row["instruction"], ctx)
        if isinstance(grown, Drop):
            return [grown]
        found = self._taught(row["instruction"], grown)
        return [*found] or [Drop("no_majority", f"{len(grown.answers)} answers judged")]

    def _taught(self, instruction: str, grown: Grown) -> Iterator[Taught]:
        for one in grown.answers:
            yield from _judgement(instruction, one, "first")
        for parent, one in grown.made:
            yield from _judgement(instruction, one, "refined")
            if one.value > self.accept:
                said = f"{START}\n{one.text}\n{END}"
                yield _row(refining(instruction, parent), said, "refinement", "refinement", one)


def _judgement(instruction: str, one: Judged, level: Level) -> Iterator[Taught]:
    if one.agreed:
        part: Part = "judged_good" if one.value > 0.5 else "judged_bad"
        yield _row(judging(instruction, one.text), one.agreed, part, level, one)


def _row(asked: list[Message], said: str, part: Part, level: Level, one: Judged) -> Taught:
    turns = [*asked, Message(role="assistant", content=said)]
    messages = [WholeTurn(role=turn["role"], content=turn["content"], extra=None) for turn in turns]
    return Taught(
        instruction=asked[0]["content"], output=said, messages=messages,
        part=part, level=level, value=one.value,
    )  # fmt: skip
