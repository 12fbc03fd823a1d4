"""The Fellowship's evaluators: a judge, or a jury of them, says which of two answers is better.

Source: Arif et al., "The Fellowship of the LLMs: Multi-Agent Workflows for Synthetic Preference
Optimization Dataset Generation", arXiv:2408.08688, section 3.1. `verifiers.fellowship_debate` is
its third way, `geometry.agreement` compares any of them with people.
Differs from the paper: our own prompts; `chosen` is answer A, so swap them by `filters.order_bias`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal, TypedDict, TypeVar

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
    Winner,
    both_scores,
    by_scores,
    jury,
    named_winner,
    one_score,
)  # fmt: skip
from gristmill.text.pairs import Compared
from gristmill.text.turns import question, user

T = TypeVar("T")
Votes = tuple[Winner | None, float | None, float | None, int]
"""Winner, score of A, score of B, repairs."""


class Judged(TypedDict):
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


class Fellowship(RowStage):
    """Ask every judge once about a pair."""

    jury: tuple[str, ...] = Field(default=("judge",), min_length=1)
    """Roles of those who judge; several vote, and several winners are a tie."""
    how: Literal["direct", "single", "combined"] = "combined"
    """`direct` names a winner, `single` scores each answer alone, `combined` both at once."""
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
        texts = {"asked": asked, "first": row["chosen"], "second": row["rejected"]}
        asks = (self._vote(texts, role, ctx.branch(i)) for i, role in enumerate(self.jury))
        found = await asyncio.gather(*asks)
        votes = [vote for vote, *_ in found]
        known = [vote for vote in votes if vote is not None]
        winner = jury(known) if known else None
        a, b = _mean([one[1] for one in found]), _mean([one[2] for one in found])
        return Judged(
            passed=None if winner in (None, "tie") else winner == "a",
            status=SIDES[winner] if winner else "unparsed_judge",
            winner=winner and SIDES[winner], votes=[vote and SIDES[vote] for vote in votes],
            score_a=a, score_b=b, repairs=sum(one[3] for one in found),
        )  # fmt: skip

    async def _vote(self, texts: dict[str, str], role: str, ctx: Context) -> Votes:
        if self.how == "direct":
            prompt = DIRECT.format(**texts)
            said: tuple[Winner | None, int] = await self._read(prompt, named_winner, role, ctx)
            return said[0], None, None, said[1]
        if self.how == "combined":
            prompt = COMBINED.format(top=self.top, **texts)
            scores, n = await self._read(
                prompt, lambda text: both_scores(text, self.top), role, ctx
            )
            a, b = scores or (None, None)
        else:
            alone = {"top": self.top, "asked": texts["asked"]}
            one, other = (SINGLE.format(first=texts[x], **alone) for x in ("first", "second"))
            a, n = await self._read(one, self._one, role, ctx)
            b, more = await self._read(other, self._one, role, ctx)
            n += more
        return (by_scores(a, b) if a is not None and b is not None else None), a, b, n

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


def _mean(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None
