"""Drop synthetic abstracts that tell relations which nobody found.

Source: Delmas et al., "Relation Extraction in underexplored biomedical domains: A
diversity-optimised sampling and synthetic data generation approach", arXiv:2311.06364, on what
language models add to an abstract. For the rows of `generators.synthetic_abstracts`.
Differs from the paper: a rule where they look by hand; a model extracts, names are compared.
"""

from __future__ import annotations

from typing import ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.findings import Relation, listed_pairs, stripped, unsupported
from gristmill.text.turns import question, user


class Known(TypedDict):
    """A compound that the article found in an organism, and its class if it is known."""

    organism: str
    chemical: str
    kind: NotRequired[str | None]


class Told(TypedDict):
    """What it reads: what is to be extracted from which text, and what is known."""

    instruction: str
    input: str
    output: str
    relations: list[Known]
    synonyms: NotRequired[list[str] | None]


class Extracted(TypedDict):
    """What it writes."""

    invented: list[str]
    """Pairs that the abstract tells and the article does not have, as the extractor wrote them."""


class InventedRelations(RowStage):
    """Let a model do what the row asks, and count the pairs that the article does not support."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"invented"}

    most: int = Field(default=0, ge=0)
    """Invented pairs above which a row leaves. Our choice."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=512)

    def needs(self) -> dict[str, Op]:
        """One model reads; best not the one that wrote."""
        return {"extractor": "generate"}

    async def __call__(self, row: Told, ctx: Context) -> Extracted | Drop:
        """Ask once; a reply without a pair says nothing about a text that has some."""
        asked = user(question(row["instruction"], row["input"]))
        reply = await complete(ctx.llm("extractor"), [asked], self.sampling)
        if isinstance(reply, Drop):
            return reply
        if not (said := listed_pairs(reply.text)):
            return Drop("unparsed_judge", reply.text)
        known = [
            stripped(Relation(one["organism"], one["chemical"], one.get("kind")))
            for one in row["relations"]
        ]
        told = [Relation(*one) for one in listed_pairs(row["output"])]
        invented = unsupported(said, [*known, *told], row.get("synonyms") or [])
        if len(invented) > self.most:
            return Drop("invented", "\n".join(invented))
        return {"invented": invented}
