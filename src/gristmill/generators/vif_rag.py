"""VIF-RAG: compose instructions that a program can check into demands of two to four parts.

Source: Dong et al., "Toward General Instruction-Following Alignment for Retrieval-Augmented
Generation", arXiv:2410.09584, section 3 (augmentation, composition, consistency score, rewriting).
Then as AutoIF: `filters.auto_if_checks` and after it; tasks with passages make the RAG rows.
Differs from the paper: our own prompts; the template for a chain was not published.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, Literal, TypedDict

from pydantic import Field

from gristmill.engines.requests import Op, Sampling
from gristmill.generators.auto_if import MAX_COSINE, Known, embedding, more
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.final_score import final_score

CHAIN = """Join the demands below into one instruction about the form of an answer, so that each \
demand is about what the one before it has made: first this, then that with the result. Lose no \
demand, and add none. Reply with the instruction alone.

### Demands
{demands}

### Instruction"""
CONSISTENT = """An instruction was made of several demands. Judge whether one answer can meet them \
all, and whether the instruction says what they say. Write a short analysis, then a last line \
"Score: n" with n from 0 (they contradict each other) to 10 (they fit, and nothing is lost).

### Demands
{demands}

### Instruction
{instruction}

### Analysis"""
REPHRASE = """Say the instruction below in other words. Its meaning stays the same, to the last \
detail. Reply with the rewrite alone.

### Instruction
{instruction}

### Rewrite"""
Composition = Literal["single", "multi", "chain"]


class Composed(TypedDict):
    """What it writes."""

    instruction: str
    parts: list[str]
    composition: Composition
    consistency: float | None
    """0..10, the judge's; None for a single one."""


class VifRag(RowStage):
    """Make rows of a list: each of its instructions, then compositions, said in several ways."""

    version: ClassVar[int] = 5
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"no_list", "inconsistent"}

    augment: int = Field(default=50, ge=0)
    """New instructions to ask for before anything is composed; at 0 the list is as it is."""
    max_cosine: float = Field(default=MAX_COSINE, gt=0, le=1)
    """Cosine from which a new one repeats another, unless it turns it round; 1 asks no embedder:
    n-grams alone tell."""
    n: int = Field(default=30, ge=1)
    """Compositions drawn. Our choice."""
    sizes: tuple[int, ...] = Field(default=(2, 3, 4), min_length=1)
    """Parts of a composition, drawn from uniformly."""
    compositions: tuple[Composition, ...] = Field(default=("multi", "chain"), min_length=1)
    """Drawn from uniformly: parts side by side, or each on what the one before it made."""
    min_consistency: float = Field(default=5.0, ge=0, le=10)
    """Score that a composition needs, as in the released code."""
    rewrites: int = Field(default=1, ge=0)
    """Further wordings of each composition that stays."""
    sampling: Sampling = Sampling(temperature=1.0, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """One model writes, one judges, a sentence encoder finds repeats of what is new."""
        asked: dict[str, Op] = {"generator": "generate", "judge": "generate"}
        return asked | (embedding(self.max_cosine) if self.augment else {})

    async def __call__(self, row: Known, ctx: Context) -> list[Composed | Drop]:
        """Augment, draw, compose: every composition in a branch of its own."""
        atoms = list(dict.fromkeys(one.strip() for one in row["atoms"] if one.strip()))
        lost = list[Composed | Drop]()
        if self.augment:
            new = await more(atoms, self.augment, self.sampling, self.max_cosine, ctx)
            lost = [new] if isinstance(new, Drop) else []
            atoms += [] if isinstance(new, Drop) else new
        drawn = [
            ctx.rng.sample(atoms, min(ctx.rng.choice(self.sizes), len(atoms)))
            for _ in range(self.n)
        ]
        single = [_composed(one, [one], "single") for one in atoms]
        made = (self.compose(parts, ctx.branch(i)) for i, parts in enumerate(drawn))
        return [*single, *lost, *(one for some in await asyncio.gather(*made) for one in some)]

    async def compose(self, parts: list[str], ctx: Context) -> list[Composed | Drop]:
        """Join the parts, score what comes of it, say it again."""
        kind, llm = ctx.rng.choice(self.compositions), ctx.llm("generator")
        demands, text = "\n".join(f"- {one}" for one in parts), " ".join(parts)
        if kind == "chain":
            prompt = CHAIN.format(demands=demands)
            reply = await complete(llm, [{"role": "user", "content": prompt}], self.sampling)
            if isinstance(reply, Drop):
                return [reply]
            text = reply.text.strip()
        prompt = CONSISTENT.format(demands=demands, instruction=text)
        greedy = Sampling(temperature=0.0, max_tokens=512)
        said = await complete(ctx.llm("judge"), [{"role": "user", "content": prompt}], greedy)
        if isinstance(said, Drop):
            return [said]
        if (score := final_score(said.text)) is None:
            return [Drop("unparsed_judge", said.text)]
        if score < self.min_consistency:
            return [Drop("inconsistent", f"{score}: {text}")]
        prompt = REPHRASE.format(instruction=text)
        again = [
            complete(llm, [{"role": "user", "content": prompt}], self.sampling)
            for _ in range(self.rewrites)
        ]
        more_of_it = await asyncio.gather(*again)
        texts = [text, *(one if isinstance(one, Drop) else one.text.strip() for one in more_of_it)]
        return [
            one if isinstance(one, Drop) else _composed(one, parts, kind, float(score))
            for one in texts
        ]


def _composed(
    text: str, parts: list[str], kind: Composition, consistency: float | None = None
) -> Composed:
    return Composed(instruction=text, parts=parts, composition=kind, consistency=consistency)
