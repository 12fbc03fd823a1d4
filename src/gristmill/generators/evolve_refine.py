"""EVOLVE: a model refines its own answer several times; the best and the worst form pairs.

Source: Zeng et al., "EVOLVE: Evolving LLMs' Self-Refinement Capability via Iterative Preference
Optimization", arXiv:2502.05605, the collection of data. Its two losses are the trainer's.
Differs from the paper: our own request; the least gap of rewards and the number of turns are our
choice, the paper's are not known; what a refinement says of itself, such as an apology, is cut
before it is rated; no second judge watches whether rewards alone grow from round to round.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.errors import PromptRefused, PromptTooLong
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import detectors
from gristmill.text.openings import unannounced
from gristmill.text.pairs import Pair, pair
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.rouge import repeats
from gristmill.text.turns import Role, question, whole
from gristmill.text.words import words

REFINE = """Improve your answer to my question, where it can be improved. Reply with the whole new \
answer alone."""
"""Neutral: it does not say whether the answer was right."""


class Asked(TypedDict):
    """What it reads."""

    instruction: str
    input: NotRequired[str | None]


class Made(Pair, total=False):
    """What it writes: an example (`output`) or a pair (`chosen`, `rejected`), never both."""

    instruction: str
    input: str | None
    gen: Gen
    mode: str
    """`answer`: to the question; `refine`: to the request, after a draft."""
    turn: int
    """Place of the better answer in the chain, from 1."""


class EvolveRefine(RowStage):
    """Make four rows of a question: an answer and a refinement to learn, and a pair of each."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {
        "small_gap", "no_gain", "no_refinement", "unrated", *NON_ANSWERS
    }  # fmt: skip

    turns: int = Field(default=4, ge=2)
    """Answers in a chain, the first one included."""
    min_reward_gap: float = Field(default=0.5, ge=0)
    """Reward of the best answer less that of the worst, at least; in units of the reward model."""
    sampling: Sampling = Sampling(temperature=0.7, top_p=0.95, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """The model that refines itself, and a model of preference."""
        return {"generator": "generate", "reward": "rate"}

    async def __call__(self, row: Asked, ctx: Context) -> list[Made | Drop] | Drop:
        """Extend one conversation turn by turn, rate every answer, pair the best and the worst."""
        asked: Message = {"role": "user", "content": question(row["instruction"], row.get("input"))}
        chat, texts, gens = [asked], list[str](), list[Gen]()
        for _ in range(self.turns):
            reply = await complete(ctx.llm("generator"), chat, self.sampling)
            if isinstance(reply, Drop):
                return reply
            text = unannounced(reply.text) if texts else reply.text.strip()
            if code := "refusal" if detectors.declines(reply.text) else non_answer(text):
                return Drop(code, reply.text)
            texts.append(text)
            gens.append(reply.gen)
            chat = [*chat, _says("assistant", text), _says("user", REFINE)]
        llm = ctx.llm("reward")
        try:
            rated = await asyncio.gather(
                *(llm.rate([asked, _says("assistant", text)]) for text in texts)
            )
        except (PromptTooLong, PromptRefused) as error:
            return Drop("unrated", str(error))
        return self._rows(asked["content"], texts, gens, [one.value for one in rated])

    def _rows(
        self, asked: str, texts: list[str], gens: list[Gen], rewards: list[float]
    ) -> list[Made | Drop] | Drop:
        best, worst = (find(range(len(texts)), key=rewards.__getitem__) for find in (max, min))
        gap = rewards[best] - rewards[worst]
        if gap < self.min_reward_gap - 1e-9:
            return Drop("small_gap", f"{gap:.3g} between the rewards {rewards}")
        if repeats(words(texts[best]), words(texts[worst])):
            return Drop("no_gain", texts[best])
        writers = f"turn {best + 1}", f"turn {worst + 1}"
        told = Made(gen=gens[best], turn=best + 1)
        chosen, rejected = texts[best], texts[worst]
        both = pair(asked, chosen, rejected, gap, writers)
        rows: list[Made | Drop] = [
            {**told, "mode": "answer", "output": chosen},
            {**told, "mode": "answer", **both},
        ]
        if not best:
            return [*rows, Drop("no_refinement", f"the first answer has the best of {rewards}")]
        draft = texts[best - 1]
        if repeats(words(chosen), words(draft)):
            return [*rows, Drop("no_gain", chosen)]
        before = [whole("user", asked), whole("assistant", draft), whole("user", REFINE)]
        both = pair(asked, chosen, rejected, gap, writers, before)
        said = [*before, whole("assistant", chosen)]
        first: Made = {**told, "mode": "refine", "instruction": asked, "input": None}
        return [*rows, {**first, "output": chosen, "messages": said}, {**first, **both}]


def _says(role: Role, text: str) -> Message:
    return {"role": role, "content": text}
