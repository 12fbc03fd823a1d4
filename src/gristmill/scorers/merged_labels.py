"""Give labels that mean the same one name, so that a rare spelling is no rare label.

Source: Li et al., "Infinity Instruct", arXiv:2506.11116 (phase 2): fine labels are normalised by
clustering their embeddings, with tuning by hand, to about 15,000.
Differs from the paper: known from accounts of it. From the most frequent label down, each takes the
name of the one kept before that it is most like, if it is like enough; nothing is tuned by hand.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.engines.requests import Op
from gristmill.geometry.vectors import unit
from gristmill.geometry.walk import walk
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import TableStage, decisions


class Merged(TypedDict):
    """What it writes."""

    labels: list[str] | None
    """Without those that became the same; None where there were none."""


class MergedLabels(TableStage):
    """Embed every label once; no row leaves. O(n m d) for n labels of which m keep their names."""

    codes: ClassVar[frozenset[str]] = frozenset()

    by: str = Field(default="scores.infinity_labels.labels", pattern=r"^\w+(\.\w+)*$")
    """Column with a list of labels."""
    threshold: float = Field(default=0.9, ge=-1, le=1)
    """Cosine above which two labels mean the same. Our choice for `minilm`."""

    def reads(self) -> frozenset[str]:
        """The column is a parameter."""
        return frozenset({self.by})

    def needs(self) -> dict[str, Op]:
        """The embedder is a sentence encoder."""
        return {"embedder": "embed"}

    async def decide(self, table: pa.Table, ctx: Context) -> Annotated[pa.Table, Merged]:
        """(n, 2) -> (n, 5)."""
        every = table[self.by].to_pylist()
        often = Counter(label for labels in every for label in labels or ())
        names = sorted(often, key=lambda label: (-often[label], label))
        name_of = await self._names(names, ctx)
        merged = [labels and list(dict.fromkeys(name_of[x] for x in labels)) for labels in every]
        made = pa.array(merged, pa.list_(pa.string()))
        return decisions(table, [True] * len(table), "", labels=made)

    async def _names(self, names: list[str], ctx: Context) -> Mapping[str, str]:
        """Return what every label is called from now on."""
        if not names:
            return {}
        llm = ctx.llm("embedder")
        found: list[Any] = await asyncio.gather(*(llm.embed(name) for name in names))
        points = unit(np.stack([one.values for one in found]).astype(np.float32))
        nearest = walk(points, len(points), self.threshold).nearest
        pairs = zip(names, nearest.tolist(), strict=True)
        return {name: names[place] if place >= 0 else name for name, place in pairs}
