"""The Fellowship's debate: three referees speak twice about two answers, then score them.

Source: Arif et al., "The Fellowship of the LLMs: Multi-Agent Workflows for Synthetic Preference
Optimization Dataset Generation", arXiv:2408.08688, section 3.1; roles and turns: Chan et al.,
"ChatEval", arXiv:2308.07201.
Differs from the papers: our own prompts; the majority of the referees decides, and one who gives no
scores does not count; which answer is A is left to chance, as judges favour a place.
"""

from __future__ import annotations

from statistics import fmean
from typing import ClassVar

from pydantic import Field

from gristmill.engines.requests import Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.evaluators import SIDES, both_scores, by_scores, jury
from gristmill.text.length_bias import Measured, measured
from gristmill.text.pairs import Compared
from gristmill.text.turns import question, user

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
    """Mean of the referees' scores of `rejected`."""
    shown_first: str
    """The side that was answer A."""


class FellowshipDebate(RowStage):
    """Let referees speak in turn: nine calls, every one sees what was said before it."""

    version: ClassVar[int] = 4

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
        sides = ["chosen", "rejected"] if ctx.rng.random() < 0.5 else ["rejected", "chosen"]
        texts = {"chosen": row["chosen"], "rejected": row["rejected"]}
        first, second = (texts[side] for side in sides)
        found = Judged(
            passed=None, status="unparsed_judge", winner=None, score_a=None, score_b=None,
            shown_first=sides[0], **measured(row["chosen"], row["rejected"]),
        )  # fmt: skip
        scores = await self._debate({"asked": asked, "first": first, "second": second}, ctx)
        if not scores:
            return found
        if sides[0] == "rejected":
            scores = [(b, a) for a, b in scores]
        found["score_a"], found["score_b"] = map(fmean, zip(*scores, strict=True))
        winner = jury([by_scores(*one) for one in scores])
        found["passed"] = None if winner == "tie" else winner == "a"
        found["status"] = found["winner"] = SIDES[winner]
        return found

    async def _debate(self, texts: dict[str, str], ctx: Context) -> list[tuple[float, float]]:
        """Return the scores of A and B of every referee who gives some; a bad reply ends it."""
        how = Sampling(0.0, 1.0, self.max_tokens)
        said, scores = list[str](), list[tuple[float, float]]()
        for turn in range(3 * (ROUNDS + 1)):
            is_last, role = turn >= 3 * ROUNDS, ROLES[turn % 3]
            heard, part = "\n\n".join(said) or "Nothing.", SCORES if is_last else SPEAK
            prompt = REFEREE.format(**texts, said=heard, role=role, part=part)
            llm = ctx.llm(self.referees[turn % 3 % len(self.referees)])
            reply = await complete(llm, [user(prompt)], how)
            if isinstance(reply, Drop):
                return []
            if not is_last:
                said.append(f"{role}: {reply.text.strip()}")
            elif given := both_scores(reply.text, 10):
                scores.append(given)
        return scores
