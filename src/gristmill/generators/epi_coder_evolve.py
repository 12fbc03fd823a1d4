"""EpiCoder, second step: parts of the tree of features grow in depth and breadth.

Source: Wang et al., "EpiCoder: Encompassing Diversity and Complexity in Code Generation",
arXiv:2501.04694, section 3.2; `microsoft/EpiCoder` (MIT) for the rules. `scorers.feature_tree`
draws the parts before, and merges what they grew to afterwards.
Differs from the paper: our own prompt; all parts are drawn from one tree, none from what another
grew to.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.generators.epi_coder_features import tagged
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.feature_tree import merge, tree_of

GROW = """Below is a part of a tree of features of programs, as JSON. Let it grow: beside every \
name at least two more of the same kind that programs have and that are rarer, and below the last \
names, where it makes sense, what they consist of. Keep all that is there. Answer with the whole \
part as one JSON object between `<features>` and `</features>`, with names as keys or in lists.

### Part
{part}

### Grown part"""


class Grown(TypedDict):
    """What it writes: pairs of a part and what it grew to, as JSON."""

    grown: list[str]
    gen: Gen | None


class EpiCoderEvolve(RowStage):
    """Ask once per part; the row stays, what did not grow leaves beside it."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"no_features", "no_growth"}

    of: str = Field(default="source_tree", pattern=r"^\w+$")
    """Label of the scorer that drew the parts."""
    sampling: Sampling = Sampling(temperature=1.0, max_tokens=2048)

    def reads(self) -> frozenset[str]:
        """The column depends on `of`."""
        return frozenset({f"scores.{self.of}.subtrees"})

    def needs(self) -> dict[str, Op]:
        """One model."""
        return {"generator": "generate"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> list[Grown | Drop]:
        """Keep the row, with whatever grew."""
        parts = row[f"scores.{self.of}.subtrees"] or []
        asked = [complete(ctx.llm("generator"), _request(p), self.sampling) for p in parts]
        replies = await asyncio.gather(*asked)
        pairs: list[str] = []
        rows: list[Grown | Drop] = []
        gen = None
        for part, reply in zip(parts, replies, strict=True):
            if isinstance(reply, Drop):
                rows.append(reply)
                continue
            before, found = json.loads(part), tagged(reply.text)
            after = tree_of(found)
            merge(after, before)
            if after == before:
                rows.append(Drop("no_features" if found is None else "no_growth", reply.text))
                continue
            pairs.append(json.dumps([before, after], ensure_ascii=False))
            gen = reply.gen
        return [Grown(grown=pairs, gen=gen), *rows]


def _request(part: str) -> list[Message]:
    return [{"role": "user", "content": GROW.format(part=part)}]
