"""QTA: rewrite a request for a retriever of tools, and prefer the rewrite that finds what it needs.

Source: Zhang et al., "Data-Efficient Massive Tool Retrieval: A Reinforcement Learning Approach for
Query-Tool Alignment with Language Models", arXiv:2410.03212: rewrites in the manner of tool
descriptions, ranked by the places of the right tools; the best and the worst one are a pair.
Differs from the paper: our own prompt; a ranking is as good as its normalised discounted gain,
which is our choice; the tuning between rounds is yours.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, TypedDict

import numpy as np
from pydantic import Field

from gristmill.engines.requests import Message, Op, Sampling, Vector
from gristmill.formats.api_collections import Apis
from gristmill.geometry.ranks import gain, is_sufficient, places
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage

REWRITE = """Rewrite a request for a search in descriptions of tools: say what tools would be \
needed for it, in the manner of such descriptions, each in a short sentence about what it does. \
Leave out names, dates and other values. Reply with the rewrite alone.

### Request
{request}

### Rewrite"""
Row = TypedDict(
    "Row",
    {
        "instruction": str,
        "meta.tool_retrieval.functions": list[str],
        "meta.tool_retrieval.api": str,
    },
)


class Preferred(TypedDict):
    """What it writes."""

    output: str | None
    """None: what is learnt is the preference."""
    prompt: str
    chosen: str
    rejected: str
    margin: float
    """How much more gain the chosen rewrite has, 0..1."""
    chosen_from: str
    rejected_from: str
    rewrites: list[str]
    """All that were drawn, each once."""
    gains: list[float]
    """Of every rewrite, 0..1; higher is better."""
    sufficient: bool
    """Whether the chosen one finds all that is needed among the first k."""


class Qta(Apis, RowStage):
    """Draw rewrites, look for tools with each, and pair the best with the worst."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"all_equal", "unknown_function"}

    n: int = Field(default=8, ge=2)
    """Rewrites drawn. Our choice."""
    k: int = Field(default=5, ge=1)
    """Tools that a search gives."""
    sampling: Sampling = Sampling(temperature=1.0, max_tokens=512)

    def needs(self) -> dict[str, Op]:
        """One model rewrites, a sentence encoder searches."""
        return {"generator": "generate", "embedder": "embed"}

    async def __call__(self, row: Row, ctx: Context) -> Preferred | Drop:
        """Search in the functions of the row and of `apis`."""
        known = self.functions(row["meta.tool_retrieval.api"])
        about = {name: f"{name}: {one['description']}" for name, one in known.items()}
        names, gold = sorted(about), row["meta.tool_retrieval.functions"]
        if not gold or not {*gold} <= {*names}:
            return Drop("unknown_function", f"{gold} is not among {len(names)} functions")
        prompt: list[Message] = [
            {"role": "user", "content": REWRITE.format(request=row["instruction"])}
        ]
        asked = (complete(ctx.llm("generator"), prompt, self.sampling) for _ in range(self.n))
        drawn = await asyncio.gather(*asked)
        rewrites = list(
            dict.fromkeys(one.text.strip() for one in drawn if not isinstance(one, Drop))
        )
        if not rewrites:
            return next(one for one in drawn if isinstance(one, Drop))
        embed = ctx.llm("embedder").embed
        told: list[Vector] = await asyncio.gather(*(embed(about[name]) for name in names))
        sought: list[Vector] = await asyncio.gather(*(embed(text) for text in rewrites))
        tools, right = np.stack([one.values for one in told]), [names.index(one) for one in gold]
        found = [places(one.values, tools, right) for one in sought]
        gains = [gain(one) for one in found]
        best, worst = int(np.argmax(gains)), int(np.argmin(gains))
        if gains[best] == gains[worst]:
            return Drop("all_equal", f"{len(rewrites)} rewrites with a gain of {gains[0]:.3f}")
        return Preferred(
            output=None, prompt=prompt[0]["content"], chosen=rewrites[best],
            rejected=rewrites[worst], margin=gains[best] - gains[worst],
            rewrites=rewrites, gains=gains,
            chosen_from="generator", rejected_from="generator",
            sufficient=is_sufficient(found[best], self.k),
        )  # fmt: skip
