"""EpiCoder, third step: a part of the tree of features becomes a programming task.

Source: Wang et al., "EpiCoder: Encompassing Diversity and Complexity in Code Generation",
arXiv:2501.04694, section 3.3; `microsoft/EpiCoder` (MIT) for the rules. `epi_coder_solve` comes
next.
Differs from the paper: our own prompt; a task of several files is drawn from the same parts.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar, Literal, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.feature_tree import leaves, tree_of
from gristmill.text.headed import tagged

LEVELS = {
    "function": "one function or class of one Python file solves; the instruction says its name "
    "and signature and shows calls with their results",
    "files": "takes two to five Python files that import each other; the instruction says which "
    "functions and classes each of them has, with their signatures",
}
TASK = """Invent a programming task from features of programs. Choose features that fit together: \
all that are mandatory, of the others as many as make sense. Imagine who needs such a program and \
why; then write a task that {level}. The result must be easy to test without network, clock or \
chance. Reply with four tags and nothing else: <features> the names that you chose, separated by \
commas </features> <scenario> who needs it and why, in two sentences </scenario> <task> the task \
in one sentence </task> <instruction> the whole task, for somebody who sees nothing else \
</instruction>

### Features
{features}

### Mandatory features
{mandatory}

### Task"""
PARTS = ("features", "scenario", "task", "instruction")
N_MANDATORY = 2
"""Features that a task must need."""


class Task(TypedDict):
    """What it writes."""

    instruction: str
    features: list[str]
    mandatory_features: list[str]
    scenario: str
    task: str
    level: str
    gen: Gen


class EpiCoder(RowStage):
    """Make one task of every part."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"no_part", "missing_tag", "missing_feature"}

    of: str = Field(default="evolved_tree", pattern=r"^\w+$")
    """Label of the scorer that drew the parts."""
    level: Literal["function", "files"] = "function"
    """How large tasks are."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=2048)

    def reads(self) -> frozenset[str]:
        """The column depends on `of`."""
        return frozenset({f"scores.{self.of}.subtrees"})

    def needs(self) -> dict[str, Op]:
        """One model asks."""
        return {"generator": "generate"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> list[Task | Drop] | Drop:
        """Make all tasks at once."""
        parts = row[f"scores.{self.of}.subtrees"]
        if not parts:
            return Drop("no_part", f"scores.{self.of}.subtrees is empty")
        return await asyncio.gather(*(self.task(p, ctx.branch(i)) for i, p in enumerate(parts)))

    async def task(self, part: str, ctx: Context) -> Task | Drop:
        """Ask for a task, and once more where a tag is missing."""
        names = sorted(set(leaves(tree_of(json.loads(part)))))
        mandatory = ctx.rng.sample(names, k=min(N_MANDATORY, len(names)))
        if not mandatory:
            return Drop("no_part", part)
        told = {"level": LEVELS[self.level], "features": part, "mandatory": ", ".join(mandatory)}
        ask: list[Message] = [{"role": "user", "content": TASK.format(**told)}]
        reply = await complete(ctx.llm("generator"), ask, self.sampling)
        if not isinstance(reply, Drop) and not all(tags(reply.text).values()):
            reply = await complete(ctx.llm("generator"), ask, self.sampling)
        if isinstance(reply, Drop):
            return reply
        found = tags(reply.text)
        if not all(found.values()):
            return Drop("missing_tag", f"{[k for k, v in found.items() if not v]}: {reply.text}")
        chosen = [name.strip() for name in found["features"].split(",") if name.strip()]
        lost = {name.lower() for name in mandatory} - {name.lower() for name in chosen}
        if lost:
            return Drop("missing_feature", f"{', '.join(sorted(lost))}: {reply.text}")
        return {
            "instruction": found["instruction"],
            "features": chosen,
            "mandatory_features": mandatory,
            "scenario": found["scenario"],
            "task": found["task"],
            "level": self.level,
            "gen": reply.gen,
        }


def tags(text: str) -> dict[str, str]:
    """Return what stands between the tags of each part; "" where they are not there just once."""
    found = {name: [one for _, one in tagged(text, [name])] for name in PARTS}
    return {name: texts[0].strip() if len(texts) == 1 else "" for name, texts in found.items()}
