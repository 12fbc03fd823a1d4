"""P-Aligner: grow a tree of rewrites of an instruction, by principles, towards better answers.

Source: Song et al., "P-Aligner: Enabling Pre-Alignment of Language Models via Principled
Instruction Synthesis", arXiv:2508.04626, section 3; `F2-Song/P-Aligner` (Apache-2.0) for numbers.
Answers are rated as answers to the raw instruction, so that a rewrite gains nothing by asking for
something else. `generators.p_aligner_pairs` comes next.
Differs from the paper: our own prompts; a rewrite that is none is a try, too; of a search that gets
stuck the tree so far counts.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Message, Op, Sampling
from gristmill.errors import PromptRefused, PromptTooLong
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.leaks import markers
from gristmill.text.monte_carlo import Node, descend, grow
from gristmill.text.rewrites import rewrite_flaw

REWRITE = """Improve the query of a user by the given principle, and by nothing else: what it asks \
for stays the same. Reply with the improved query alone; do not answer it.

### Principle
{principle}

### Query
{query}

### Improved query"""
TURNS, STOP = "User: {query}\nAssistant:", ("\nUser:", "\nAssistant:")
HELPFULNESS = (
    "Say more clearly what is wanted, and instruct more precisely.",
    "Add background that helps to answer.",
    "Ask in a more polite, honest and friendly tone.",
)
PRINCIPLES = {
    "harmlessness": ("Begin with a word on safety.", "End with what is to be declined."),
    "honesty": ("Ask for objective facts.",),
    "coding": ("Ask to mind typical bugs and edge cases.", "Ask for help to debug step by step."),
    "math": ("Add a hint or an example.", "Ask to check the result, or to reason in detail."),
}
"""Those of a category, by its first word; with those of helpfulness they are ten."""
MARKERS = markers([REWRITE])


class Seed(TypedDict):
    """What it reads; a category is Math, Coding & Debugging, Honesty, Harmlessness or other."""

    instruction: str
    category: NotRequired[str | None]


class Grown(TypedDict):
    """A node; `parent` is its place in the tree, None of the raw instruction, the first."""

    text: str
    parent: int | None
    action: str
    mean: float
    """Of the ratings of its answers, in the units of the reward model."""
    reward: float
    """The best mean of its subtree, as the search knew it."""


class Tree(TypedDict):
    """What it writes: the instruction as it was, and the nodes in the order of growth."""

    instruction: str
    tree: list[Grown]


class PAligner(RowStage):
    """Grow a node per iteration where the search leads, then rate the raw instruction itself."""

    codes: ClassVar[frozenset[str]] = frozenset({"no_tree", "unrated"})

    iterations: int = Field(default=20, ge=1)
    """Nodes to grow, one after the other. 20 take 20 rewrites, 63 answers and 63 ratings."""
    c: float = Field(default=0.1, ge=0)
    """What nodes gain that were visited seldom, as in the published runs."""
    answers: int = Field(default=3, ge=1)
    """Of every node."""
    tries: int = Field(default=4, ge=1)
    """Rewrites of one iteration; where all of them fail, the search ends early."""
    rewriting: Sampling = Sampling(temperature=1.0, max_tokens=1024)
    answering: Sampling = Sampling(temperature=1.0, max_tokens=1024, stop=STOP)

    def needs(self) -> dict[str, Op]:
        """The rewriter is strong; the responder is a base model, which gets plain text."""
        return {"rewriter": "generate", "responder": "generate", "reward": "rate"}

    async def __call__(self, row: Seed, ctx: Context) -> Tree | Drop:
        """Select, expand, simulate and propagate, `iterations` times."""
        raw, category = row["instruction"], (row.get("category") or "").casefold().split()
        actions = (*PRINCIPLES.get(next(iter(category), ""), ()), *HELPFULNESS)
        nodes = [Node(raw)]
        while len(nodes) <= self.iterations and (
            node := await self._expand(nodes[0], actions, ctx)
        ):
            nodes.append(node)
        nodes[0].mean = await self._worth(raw, raw, ctx)
        if len(nodes) == 1 or nodes[0].mean is None:
            return Drop("no_tree" if len(nodes) == 1 else "unrated", raw)
        tree = [
            Grown(
                text=node.text, parent=nodes.index(node.parent) if node.parent else None,
                action=node.action, mean=node.mean or 0.0, reward=node.reward or 0.0,
            )
            for node in nodes
        ]  # fmt: skip
        return {"instruction": raw, "tree": tree}

    async def _expand(self, root: Node, actions: tuple[str, ...], ctx: Context) -> Node | None:
        """Rewrite, answer and rate, until it works; what fails leaves no node."""
        parent = descend(root, len(actions), self.c)
        used = {child.action for child in parent.children}
        action = ctx.rng.choice([one for one in actions if one not in used])
        text = REWRITE.format(principle=action, query=parent.text)
        ask: list[Message] = [{"role": "user", "content": text}]
        for _ in range(self.tries):
            reply = await complete(ctx.llm("rewriter"), ask, self.rewriting)
            child = "" if isinstance(reply, Drop) else reply.text.strip()
            flaw = not child or rewrite_flaw(child, parent.text, MARKERS)
            mean = None if flaw else await self._worth(child, root.text, ctx)
            if mean is not None:
                return grow(parent, child, action, mean)
        return None

    async def _worth(self, text: str, raw: str, ctx: Context) -> float | None:
        """Return the mean rating of answers to a text, as answers to the raw instruction."""
        llm, prompt = ctx.llm("responder"), TURNS.format(query=text)
        asks = (complete(llm, prompt, self.answering, whole=False) for _ in range(self.answers))
        ratings = list[float]()
        for reply in await asyncio.gather(*asks):
            if isinstance(reply, Drop):
                return None
            chat: list[Message] = [{"role": "user", "content": raw}]
            chat.append({"role": "assistant", "content": reply.text.strip()})
            try:
                ratings.append((await ctx.llm("reward").rate(chat)).value)
            except (PromptTooLong, PromptRefused):
                return None
        return sum(ratings) / len(ratings)
