"""Synthetic abstracts: known findings told as new abstracts, from which to learn to extract them.

Source: Delmas et al., "Relation Extraction in underexplored biomedical domains: A
diversity-optimised sampling and synthetic data generation approach", arXiv:2311.06364, section 4.
The released code is GPL-3.0, and nothing of it is here. `selectors.gme` draws the documents,
`filters.invented_relations` looks for findings of nobody's.
Differs from the paper: our own prompts, sayings and banned words; a stock opening leaves.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from typing import ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Completion, Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.findings import Relation, Variant, coverage, keywords, stripped, varied
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.turns import user

KEYWORDS = """List the keywords of an article: what it is about, its methods and its field, and \
not the names of compounds and species. One keyword per line, nothing else.

Title: {title}
Abstract: {abstract}
Keywords:"""
ABSTRACT = """Write the abstract of an article from its title, its keywords and its main findings, \
in one paragraph. Say every finding with the names as they are given, and no other finding of this \
kind. Do not begin with words such as "This study" or "In this paper".

Title: {title}
Keywords: {keywords}
Main findings: {findings}
Abstract:"""
EXTRACT = """List every organism and compound of which the abstract says that the compound was \
found in the organism, one pair per line: organism; compound."""
STOCK = re.compile(
    r"(?i)\W*(?:abstract|(?:in )?(?:this|the (?:present|current)) (?:study|paper|article|work))\b"
)
LABELS = ("\n\n", "Title:", "Keywords:", "Main findings:", "Abstract:")
VOTES = (0.4, 0.5, 0.6, 0.7)  # temperatures of the lists of keywords


class Known(TypedDict):
    """A compound that the article found in an organism, and its class if it is known."""

    organism: str
    chemical: str
    kind: NotRequired[str | None]


class Article(TypedDict):
    """What it reads; `synonyms` are other names of organisms and compounds."""

    title: str
    abstract: str
    relations: list[Known]
    synonyms: NotRequired[list[str] | None]


class Told(TypedDict):
    """What it writes; the pairs in `output` are named as the findings name them."""

    instruction: str
    input: str
    output: str
    gen: Gen
    keywords: list[str]
    findings: str
    coverage: float
    """Share (0..1) of the pairs that stand in the abstract."""
    temperature: float


class SyntheticAbstracts(RowStage):
    """Make rows of an article: keywords by vote, findings in other words, an abstract of each."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | NON_ANSWERS | {
        "no_relations", "low_coverage", "stock_opening", "not_best"
    }  # fmt: skip

    variants: int = Field(default=10, ge=1)
    top: int = Field(default=3, ge=1)
    """Abstracts asked for, and those that stay, best coverage first; how many is our choice."""
    keywords: int = Field(default=10, ge=0)
    min_coverage: float = Field(default=0.9, ge=0, le=1)
    class_rate: float = Field(default=0.2, ge=0, le=1)
    """How often several compounds of a class are called by the class."""

    def needs(self) -> dict[str, Op]:
        """One role."""
        return {"generator": "generate"}

    async def __call__(self, row: Article, ctx: Context) -> list[Told | Drop] | Drop:
        """Four lists of keywords, then all abstracts at once, which share title and keywords."""
        found = [Relation(r["organism"], r["chemical"], r.get("kind")) for r in row["relations"]]
        known = [one for one in map(stripped, found) if one.organism and one.chemical]
        if not known:
            return Drop("no_relations", row["title"])
        llm, title = ctx.llm("generator"), row["title"]
        ask = KEYWORDS.format(title=title, abstract=row["abstract"])
        asks = (complete(llm, [user(ask)], Sampling(t, 1.0, 256)) for t in VOTES)
        lists = await asyncio.gather(*asks)
        votes = [reply.text for reply in lists if isinstance(reply, Completion)]
        if not votes:
            return next(reply for reply in lists if isinstance(reply, Drop))
        names = [name for one in known for name in one[:2]] + (row.get("synonyms") or [])
        words = keywords(votes, names, self.keywords)
        variants = [varied(known, ctx.rng, self.class_rate) for _ in range(self.variants)]
        listed, calls = ", ".join(words), list[Awaitable[Completion | Drop]]()
        for one in variants:
            ask = ABSTRACT.format(title=title, keywords=listed, findings=one.findings)
            calls.append(complete(llm, [user(ask)], Sampling(one.temperature, 1.0, 512, LABELS)))
        replies = await asyncio.gather(*calls)
        return self._best([self._made(*one, words) for one in zip(replies, variants, strict=True)])

    def _made(self, reply: Completion | Drop, told: Variant, words: list[str]) -> Told | Drop:
        """Return the row of one abstract, or what is wrong with it."""
        if isinstance(reply, Drop):
            return reply
        text = reply.text.strip()
        if code := non_answer(text):
            return Drop(code, text)
        if STOCK.match(text):
            return Drop("stock_opening", text)
        rate = coverage(text, told.pairs)
        if rate < self.min_coverage - 1e-9:
            return Drop("low_coverage", f"{rate:.3f}: {text}")
        return Told(
            instruction=EXTRACT, input=text, output="\n".join("; ".join(one) for one in told.pairs),
            gen=reply.gen, keywords=words, findings=told.findings, coverage=rate,
            temperature=told.temperature,
        )  # fmt: skip

    def _best(self, made: list[Told | Drop]) -> list[Told | Drop]:
        """Keep the abstracts with the best coverage; of equals those asked for first."""
        rates = {i: one["coverage"] for i, one in enumerate(made) if not isinstance(one, Drop)}
        top = sorted(rates, key=lambda i: -rates[i])[: self.top]
        return [
            one if i in top or i not in rates else Drop("not_best", f"{rates[i]:.3f}")
            for i, one in enumerate(made)
        ]
