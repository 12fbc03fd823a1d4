"""The Fellowship's evaluators: a judge, or a jury of them, says which of two answers is better.

Source: Arif et al., "The Fellowship of the LLMs: Multi-Agent Workflows for Synthetic Preference
Optimization Dataset Generation", arXiv:2408.08688, section 3.1. `verifiers.fellowship_debate` is
its third way, `geometry.agreement` compares any of them with people.
Differs from the paper: our own prompts; who compares is asked in both orders, and one who then says
something else says tie (`swap: false` asks once, `chosen` as answer A).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar, Literal, TypeVar

from pydantic import Field

from gristmill.engines.requests import Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.evaluators import (
    COMBINED,
    DIRECT,
    FINAL,
    SIDES,
    SINGLE,
    Vote,
    Winner,
    both_scores,
    by_scores,
    in_both_orders,
    jury,
    mean,
    named_winner,
    one_score,
)  # fmt: skip
from gristmill.text.length_bias import Measured, measured
from gristmill.text.pairs import Compared
from gristmill.text.turns import question, user

T = TypeVar("T")


class Judged(Measured):
    """What it writes. `passed` is None for a tie and where nobody gave a verdict."""

    passed: bool | None
    status: str
    """The winner, or unparsed_judge."""
    winner: str | None
    """chosen, rejected or tie."""
    votes: list[str | None]
    """Of every judge, in order."""
    score_a: float | None
    """Mean of the scores of `chosen`, where scores are given."""
    score_b: float | None
    repairs: int
    """Verdicts that had to be asked for again."""
    is_consistent: bool | None
    """Whether no judge changed its mind with the order; None where none was asked in both."""


class Fellowship(RowStage):
    """Ask every judge about a pair."""

    version: ClassVar[int] = 3

    jury: tuple[str, ...] = Field(default=("judge",), min_length=1)
    """Roles of those who judge; several vote, and several winners are a tie."""
    how: Literal["direct", "single", "combined"] = "combined"
    """`direct` names a winner, `single` scores each answer alone, `combined` both at once."""
    swap: bool = True
    """Ask in both orders; `single` has none."""
    top: Literal[5, 10, 100] = 10
    """What scores are out of."""
    max_tokens: int = Field(default=1024, ge=1)
    """Of one reply; all are greedy."""

    def needs(self) -> dict[str, Op]:
        """One role, or several of different families."""
        return dict.fromkeys(self.jury, "generate")

    async def __call__(self, row: Compared, ctx: Context) -> Judged:
        """Collect votes; one that cannot be read twice is none."""
        asked = row.get("prompt") or question(row.get("instruction"), row.get("input"))
        pair = row["chosen"], row["rejected"]
        asks = (self._vote(asked, pair, role, ctx.branch(i)) for i, role in enumerate(self.jury))
        found = await asyncio.gather(*asks)
        known = [vote.winner for vote in found if vote.winner is not None]
        winner = jury(known) if known else None
        steady = [vote.is_consistent for vote in found if vote.is_consistent is not None]
        return Judged(
            passed=None if winner in (None, "tie") else winner == "a",
            status=SIDES[winner] if winner else "unparsed_judge",
            winner=winner and SIDES[winner],
            votes=[vote.winner and SIDES[vote.winner] for vote in found],
            score_a=mean([vote.a for vote in found]), score_b=mean([vote.b for vote in found]),
            repairs=sum(vote.repairs for vote in found),
            is_consistent=all(steady) if steady else None,
            **measured(*pair),
        )  # fmt: skip

    async def _vote(self, asked: str, pair: tuple[str, str], role: str, ctx: Context) -> Vote:
        """Return what a judge says; scores are means over the orders."""
        one = await self._said(asked, *pair, role, ctx)
        if not self.swap or self.how == "single":
            return one
        return in_both_orders(one, await self._said(asked, *pair[::-1], role, ctx))

    async def _said(self, asked: str, first: str, second: str, role: str, ctx: Context) -> Vote:
        texts = {"top": self.top, "asked": asked, "first": first, "second": second}
        if self.how == "direct":
            prompt = DIRECT.format(**texts)
            said: tuple[Winner | None, int] = await self._read(prompt, named_winner, role, ctx)
            return Vote(said[0], None, None, said[1])
        if self.how == "combined":
            prompt = COMBINED.format(**texts)
            scores, n = await self._read(prompt, self._both, role, ctx)
            a, b = scores or (None, None)
        else:
            a, n = await self._read(SINGLE.format(**texts), self._one, role, ctx)
            other = SINGLE.format(**{**texts, "first": second})
            b, more = await self._read(other, self._one, role, ctx)
            n += more
        winner = by_scores(a, b) if a is not None and b is not None else None
        return Vote(winner, a, b, n)

    def _both(self, text: str) -> tuple[float, float] | None:
        return both_scores(text, self.top)

    def _one(self, text: str) -> float | None:
        return one_score(text, self.top)

    async def _read(
        self, prompt: str, read: Callable[[str], T | None], role: str, ctx: Context
    ) -> tuple[T | None, int]:
        """Ask, and once more for the last lines where they cannot be read."""
        chat, how, llm = [user(prompt)], Sampling(0.0, 1.0, self.max_tokens), ctx.llm(role)
        reply = await complete(llm, chat, how)
        if isinstance(reply, Drop):
            return None, 0
        if (found := read(reply.text)) is not None:
            return found, 0
        said = Message(role="assistant", content=reply.text)
        reply = await complete(llm, [*chat, said, user(FINAL.format(top=self.top))], how)
        return (None if isinstance(reply, Drop) else read(reply.text)), 1
