"""The Fellowship's debate: three referees speak twice about two answers, then score them.

Source: Arif et al., "The Fellowship of the LLMs: Multi-Agent Workflows for Synthetic Preference
Optimization Dataset Generation", arXiv:2408.08688, section 3.1; roles and turns: Chan et al.,
"ChatEval", arXiv:2308.07201.
Differs from the papers: our own prompts; the majority of the referees decides, and one who gives no
scores does not count.
"""

from __future__ import annotations

from statistics import fmean
from typing import ClassVar

from pydantic import Field

from gristmill.engines.requests import Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.evaluators import SIDES, both_scores, by_scores, jury
from gristmill.text.length_bias import Measured, measured
from gristmill.text.pairs import Compared
from gristmill.text.turns import question

REFEREE = """Three referees discuss two answers to one question: one of the public, a psychologist \
and a critic. They speak in turn, a few sentences each, and see what was said before.

### Question
{asked}

### Answer A
{first}

### Answer B
{second}

### Said so far
{said}

### You are {role}
{part}"""
ROLES = ("one of the public", "the psychologist", "the critic")
SPEAK = "Say what you think of the answers, and of what the others said."
SCORES = "Give your scores in two lines:\nScore A: number/10\nScore B: number/10"
ROUNDS = 2


class Judged(Measured):
    """What it writes. `passed` is None for a tie and where nobody gave scores."""

    passed: bool | None
    status: str
    """The winner, or unparsed_judge."""
    winner: str | None
    """chosen, rejected or tie."""
    score_a: float | None
    """Mean of the referees' scores of `chosen`, out of 10."""
    score_b: float | None


class FellowshipDebate(RowStage):
    """Let referees speak in turn: nine calls, every one sees what was said before it."""

    version: ClassVar[int] = 3

    referees: tuple[str, ...] = Field(default=("judge",), min_length=1)
    """Roles behind the three referees, in turn; one may play all of them."""
    max_tokens: int = Field(default=512, ge=1)
    """Of one statement; all are greedy."""

    def needs(self) -> dict[str, Op]:
        """One role, or several of different families."""
        return dict.fromkeys(self.referees, "generate")

    async def __call__(self, row: Compared, ctx: Context) -> Judged:
        """Question and answers come first, so that all nine share them."""
        asked = row.get("prompt") or question(row.get("instruction"), row.get("input"))
        how, said, scores = (
            Sampling(0.0, 1.0, self.max_tokens),
            list[str](),
            list[tuple[float, float]](),
        )
        chars = measured(row["chosen"], row["rejected"])
        none = Judged(
            passed=None, status="unparsed_judge", winner=None, score_a=None, score_b=None, **chars
        )
        for turn in range(3 * (ROUNDS + 1)):
            is_last, role = turn >= 3 * ROUNDS, ROLES[turn % 3]
            prompt = REFEREE.format(
                asked=asked, first=row["chosen"], second=row["rejected"],
                said="\n\n".join(said) or "Nothing.", role=role, part=SCORES if is_last else SPEAK,
            )  # fmt: skip
            ask: list[Message] = [{"role": "user", "content": prompt}]
            llm = ctx.llm(self.referees[turn % 3 % len(self.referees)])
            reply = await complete(llm, ask, how)
            if isinstance(reply, Drop):
                return none
            if not is_last:
                said.append(f"{role}: {reply.text.strip()}")
            elif found := both_scores(reply.text, 10):
                scores.append(found)
        if not scores:
            return none
        a, b = (fmean(side) for side in zip(*scores, strict=True))
        winner = jury([by_scores(*one) for one in scores])
        passed = None if winner == "tie" else winner == "a"
        side = SIDES[winner]
        return Judged(passed=passed, status=side, winner=side, score_a=a, score_b=b, **chars)
