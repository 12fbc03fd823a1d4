"""Optima: two parties with half of the facts each talk; what ends well is preferred, turn by turn.

Source: Chen et al., "Optima: Optimizing Effectiveness and Efficiency for LLM-Based Multi-Agent
System", arXiv:2410.08115, section 2.4 (pairs from Monte-Carlo trees); `thunlp/Optima` for numbers.
Differs from the paper: our own prompt; the tokens that a run is measured by are those of the first
runs of its task, unless given; a run that breaks off is no run; an edit distance is a share of the
longer text's characters: "The answer is 4." and "The answer is 4!" are 1/16 apart, not 1/17.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import LogProbs, Message, Op, Sampling
from gristmill.errors import PromptRefused, PromptTooLong
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import dialogue_tree as talk
from gristmill.text.dialogue_tree import Node, Run, Told, Utterance
from gristmill.text.known import bare, f1
from gristmill.text.leaks import heads, leak
from gristmill.text.pairs import Pair, pair

TALK = """You and a partner find the answer to a question together. Each of you knows things that \
the other does not. Say briefly what your partner needs, and ask for what you need. As soon as you \
are sure, end with a line "Final answer: ..." of a few words; you are done when both of you have \
written the same one.

### Question
{question}

### What you know
{known}

### Conversation, you are {name}"""
MARKS = heads([TALK])
NAMES = ("Alice", "Bob")
LEAST_LOSS = 0.1  # what a loss counts at least: of a text known by heart it goes towards 0


class Task(TypedDict):
    """What it reads: a question, and what each party knows."""

    instruction: str
    reference: str
    context_a: str
    context_b: str


class Ranked(Pair, total=False):
    """What it writes: two utterances after the same conversation; `margin` is their distance."""

    value: float
    """Mean reward of the runs through the chosen one."""
    tree: list[Told]
    """The task, and every utterance with what it was worth; the same in all pairs of a task."""


class Optima(RowStage):
    """Grow a tree of conversations, and pair the best and the worst turn of its nodes."""

    version: ClassVar[int] = 3
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"unscored", "no_pair", "template_leak"}

    explorations: int = Field(default=8, ge=1)
    runs: int = Field(default=3, ge=1)
    """Conversations to the end, from the node of each exploration."""
    max_turns: int = Field(default=10, ge=2)
    tokens_weight: float = Field(default=-0.6, le=0)
    """Of a run's tokens over `norm_tokens`."""
    loss_weight: float = Field(default=1.0, ge=0)
    """Of 1 over the largest loss of an utterance, in nats per token, under the base model."""
    norm_tokens: int | None = Field(default=None, ge=1)
    """The paper's is the 85th percentile of 100 runs before; None is that of a task's first."""
    min_value: float = 0.15
    """What the mean reward of a chosen utterance is above; for multiple choice 0.45."""
    min_gap: float = Field(default=0.3, ge=0)
    """What its distance to the rejected one is above; for multiple choice 0.2."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=512)

    def needs(self) -> dict[str, Op]:
        """One model is both parties; the base model says how readable they are."""
        return {"generator": "generate", "base": "score"}

    async def __call__(self, row: Task, ctx: Context) -> list[Ranked] | Drop:
        """Explore, then pair."""
        root, before, norm = Node(Utterance(row["instruction"], 0)), list[Node](), self.norm_tokens
        for i in range(self.explorations):
            before.append(await asyncio.to_thread(talk.explored, root, before, ctx.rng))
            start = before[-1].path()
            parts = (ctx.branch(i * self.runs + k) for k in range(self.runs))
            made = await asyncio.gather(*(self._run(row, start, part) for part in parts))
            runs = [run for run in made if not isinstance(run, Drop)]
            norm = norm or talk.percentile([talk.tokens(run) for run in runs], 85)
            for run in runs:
                if (reward := await self._reward(row, run, norm, ctx)) is not None:
                    before[-1].add(run[len(start) :], reward)
            if not root.visits:
                return next((one for one in made if isinstance(one, Drop)), Drop("unscored"))
        pairs = talk.ranked(root, self.min_value, self.min_gap)
        tree = talk.told(root)
        none = Drop("no_pair", f"{len(tree) - 1} nodes")
        return [_pair(row, *one, tree) for one in pairs] or none

    async def _run(self, row: Task, start: Run, ctx: Context) -> Run | Drop:
        """Talk until both say the same answer."""
        said = [*start]
        while len(said) < self.max_turns and not talk.agreed(said):
            reply = await complete(ctx.llm("generator"), _chat(row, said), self.sampling)
            if isinstance(reply, Drop):
                return reply
            if mark := leak(reply.text, MARKS):
                return Drop("template_leak", f"{mark}: {reply.text}")
            said.append(Utterance(reply.text.strip(), reply.completion_tokens))
        return said

    async def _reward(self, row: Task, run: Run, norm: int, ctx: Context) -> float | None:
        """Weigh a run's answer, its tokens and its readability; None where it cannot be scored."""
        llm, before, asks = ctx.llm("base"), row["instruction"], list[Awaitable[LogProbs]]()
        for i, one in enumerate(run):
            before += f"\n{NAMES[i % 2]}: "
            asks.append(llm.score(before, one.text))
            before += one.text
        try:
            losses = [logprobs.mean_nll for logprobs in await asyncio.gather(*asks)]
        except (PromptTooLong, PromptRefused):
            return None
        worst = max(LEAST_LOSS, *(loss or 0 for loss in losses))
        right = f1(bare(talk.final_answer(run[-1].text)), bare(row["reference"]))
        return right + self.tokens_weight * talk.tokens(run) / norm + self.loss_weight / worst


def _pair(row: Task, best: Node, worst: Node, tree: list[Told]) -> Ranked:
    said = best.path()[:-1]
    chat, who = _chat(row, said), f"{NAMES[len(said) % 2]}, turn {len(said) + 1}"
    texts, gap = (best.said.text, worst.said.text), best.value - worst.value
    made = pair(chat[0]["content"], *texts, gap, (who, who), chat if len(chat) > 1 else None)
    return {**made, "value": best.value, "tree": tree}


def _chat(row: Task, said: Run) -> list[Message]:
    """Return a conversation as the party whose turn it is sees it."""
    known, asked = (row["context_a"], row["context_b"]), row["instruction"]
    firsts = [TALK.format(question=asked, known=known[i], name=NAMES[i]) for i in range(2)]
    return [{"role": role, "content": text} for role, text in talk.seen(firsts, said, NAMES[0])]
