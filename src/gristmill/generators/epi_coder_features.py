"""EpiCoder, first step: the features of a piece of code, as a tree.

Source: Wang et al., "EpiCoder: Encompassing Diversity and Complexity in Code Generation",
arXiv:2501.04694, section 3.1; `microsoft/EpiCoder` (MIT) for the kinds of features and the rules of
parsing. `scorers.feature_tree` merges the trees of all rows.
Differs from the paper: our own prompt; what no tree counts is not asked for.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, TypedDict

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.feature_tree import tree_of
from gristmill.text.fences import fenced

KINDS = (
    "programming language", "workflow", "implementation style", "functionality", "resource usage",
    "data processing", "computation operation", "security", "user interaction", "file operation",
    "error handling", "logging", "dependency relations", "algorithm", "data structures",
    "implementation logic", "advanced techniques",
)  # fmt: skip
EXTRACT = f"""Name the features of a piece of code, so that other programs with them can be \
invented. Answer with one JSON object between `<features>` and `</features>`. Its keys are these \
kinds: {", ".join(KINDS)}. A value is a list of short names, or an object of groups with such \
lists where they fall into groups; `[]` where the code has nothing of a kind. Names are general \
and in lower case: what is done, and not what things are called here.

### Code
{{block}}

### Features"""
OPENED, CLOSED = "<features>", "</features>"


class Seed(TypedDict):
    """What it reads."""

    code: str


class Features(TypedDict):
    """What it writes: a tree as JSON."""

    features: str
    gen: Gen


class EpiCoderFeatures(RowStage):
    """Ask once per piece of code."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"no_features"}

    sampling: Sampling = Sampling(temperature=0.0, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """One model reads code."""
        return {"generator": "generate"}

    async def __call__(self, row: Seed, ctx: Context) -> Features | Drop:
        """Read the tree of a reply."""
        text = EXTRACT.format(block=fenced(row["code"].strip(), ""))
        ask: list[Message] = [{"role": "user", "content": text}]
        reply = await complete(ctx.llm("generator"), ask, self.sampling)
        if isinstance(reply, Drop):
            return reply
        found = tagged(reply.text)
        if found is None or not tree_of(found, empty=False):
            return Drop("no_features", reply.text)
        return {"features": json.dumps(found, ensure_ascii=False), "gen": reply.gen}


def tagged(reply: str) -> dict[str, Any] | None:
    """Return the object between the tags of a reply; None without one."""
    inside, closed, _ = reply.partition(OPENED)[2].rpartition(CLOSED)
    try:
        found = json.loads(inside) if closed else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
