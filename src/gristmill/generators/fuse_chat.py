"""FuseChat: several models answer, a reward model rates; prompts give an example or a pair.

Source: Yang et al., "FuseChat-3.0: Preference Optimization Meets Heterogeneous Model Fusion",
arXiv:2503.04222, section 3; `SLIT-AI/FuseChat-3.0` (Apache-2.0 by its README).
Differs from the paper: all models answer equally often, nobody else does; of several pairs that of
the best answer counts; pairs of code need no gap of rewards, and are judged by their tests alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import ClassVar, Literal, NamedTuple, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.engines.sandbox.program import UNJUDGED, Program
from gristmill.errors import PromptRefused, PromptTooLong
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.fences import python_code
from gristmill.text.math_answers import compare, extract, gold_of
from gristmill.text.pairs import Pair, pair
from gristmill.text.refusals import non_answer
from gristmill.text.turns import question

REWARD = attrgetter("reward")
EDGE = 1e-9
"""Both ends of the window belong to it, however a difference of floats is rounded."""


class Rated(NamedTuple):
    """One answer of one model."""

    text: str
    reward: float
    correct: bool | None
    gen: Gen


class Asked(TypedDict):
    """What it reads; `reference` is the answer to mathematics, `tests` are those of code."""

    instruction: str
    input: NotRequired[str | None]
    reference: NotRequired[str | None]
    tests: NotRequired[str | None]


class Fused(Pair, total=False):
    """What it writes: an example (`output`) or a pair, never both of one prompt."""

    gen: Gen
    source_model: str
    """The role that wrote it."""
    reward: float


class FuseChat(RowStage):
    """Make of a prompt the best answer of all, or a pair of one model's answers."""

    version: ClassVar[int] = 3
    codes: ClassVar[frozenset[str]] = frozenset({"none_correct", "no_pair"})

    sources: tuple[str, ...] = Field(default=("first", "second"), min_length=1)
    """Roles of the models that answer; the paper has four."""
    domain: Literal["instruction", "math", "code", "chinese"] = "instruction"
    """`math` and `code` are also judged; `chinese` gives examples only."""
    samples: int = Field(default=5, ge=1)
    """Answers of each model: 5 in the paper, 8 to code."""
    sft_rate: float = Field(default=0.4, ge=0, le=1)
    """Share of the prompts (0..1) that give an example; the others give a pair."""
    window: tuple[float, float] = (0.01, 0.1)
    """Least and greatest gap of rewards in a pair, both inclusive, in the reward model's units."""
    sampling: Sampling = Sampling(temperature=0.8, top_p=0.95, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """The models, a reward model, and for code a sandbox."""
        asked: dict[str, Op] = dict.fromkeys(self.sources, "generate")
        runs: dict[str, Op] = {"sandbox": "run"} if self.domain == "code" else {}
        return {**asked, "reward": "rate", **runs}

    async def __call__(self, row: Asked, ctx: Context) -> list[Fused] | Drop:
        """Ask all models at once; the prompt decides by chance whether it is example or pair."""
        is_example = ctx.rng.random() < self.sft_rate or self.domain == "chinese"
        asks = (self._answers(name, row, ctx.branch(i)) for i, name in enumerate(self.sources))
        found = dict(zip(self.sources, await asyncio.gather(*asks), strict=True))
        asked = question(row["instruction"], row.get("input"))
        if is_example:
            good = [(one, name) for name, some in found.items() for one in some if one.correct]
            if not good:
                return Drop("none_correct", asked)
            best, name = max(good, key=lambda one: one[0].reward)
            return [Fused(output=best.text, gen=best.gen, source_model=name, reward=best.reward)]
        judged, window = self.domain in ("math", "code"), self.window
        picked = best_pair(found, None if self.domain == "code" else window, judged=judged)
        if picked is None:
            rewards = {name: [one.reward for one in some] for name, some in found.items()}
            return Drop("no_pair", str(rewards))
        name, best, worst = picked
        made = pair(asked, best.text, worst.text, best.reward - worst.reward, (name, name))
        return [{**made, "gen": best.gen, "source_model": name, "reward": best.reward}]

    async def _answers(self, name: str, row: Asked, ctx: Context) -> list[Rated]:
        """Return a model's answers that are whole, with reward and verdict: others do not count."""
        prompt = Message(role="user", content=question(row["instruction"], row.get("input")))
        llm, judge = ctx.llm(name), ctx.llm("reward")
        calls = [complete(llm, [prompt], self.sampling) for _ in range(self.samples)]
        found = list[Rated]()
        for reply in await asyncio.gather(*calls):
            if isinstance(reply, Drop) or non_answer(text := reply.text.strip()):
                continue
            try:
                rated = await judge.rate([prompt, Message(role="assistant", content=text)])
            except (PromptTooLong, PromptRefused):
                continue
            found.append(Rated(text, rated.value, await self._is_right(text, row, ctx), reply.gen))
        return found

    async def _is_right(self, text: str, row: Asked, ctx: Context) -> bool | None:
        if self.domain == "math":
            gold = gold_of(row.get("reference") or "")
            return compare(gold, extract(text, gold) or "").same
        if self.domain == "code":
            ask = Program(python_code(text) or "", tests=row.get("tests") or "")
            status = (await ctx.sandbox.run(ask)).status if ask.tests else None
            return None if status in {None, *UNJUDGED} else bool(status == "pass")
        return True


def best_pair(
    found: Mapping[str, Sequence[Rated]], window: tuple[float, float] | None, *, judged: bool
) -> tuple[str, Rated, Rated] | None:
    """Return a model with its best and its worst answer, the worst a wrong one where judged.

    Of the models whose gap is in the window, it is the one with the highest reward of all.
    """
    pairs = list[tuple[str, Rated, Rated]]()
    for name, some in found.items():
        good = [one for one in some if one.correct]
        bad = [one for one in some if not judged or one.correct is False]
        if good and bad:
            best, worst = (max(good, key=REWARD), min(bad, key=REWARD))
            low, high = window or (float("-inf"), float("inf"))
            if low - EDGE <= best.reward - worst.reward <= high + EDGE and best != worst:
                pairs.append((name, best, worst))
    return max(pairs, key=lambda one: one[1].reward, default=None)
