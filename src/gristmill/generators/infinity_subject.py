"""InfinityInstruct-Subject, closed loop: new instructions for labels that the tuned model fails.

Source: "InfinityInstruct-Subject", arXiv:2507.06968 (deficiency diagnosis, targeted generation).
`selectors.infinity_seeds` comes before, `infinity_subject_evolve` evolves and answers, and
`scorers.diagnosis` behind it says which labels fail.
Differs from the paper: known from accounts of it, and our own prompt. What a round made is probed
before anything is trained on it: that is what is held back. The requests of a label come from the
seed of its first weak row, so that lineage is true.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, NamedTuple, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.geometry.quotas import quotas
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.leaks import markers
from gristmill.text.pools import rows_where
from gristmill.text.rewrites import REWRITE_FLAWS, listed

TARGETED = """A model fails at instructions of one label. Write new ones of the same label, at \
least as complex as the examples, but about other things than they and each other are, so that it \
can learn from them. Each is complete in itself and answerable in writing. Reply with a numbered \
list of instructions, without answers.

### Label
{label}

### How many
{n}

### Examples it failed at
{examples}

### New instructions"""
MARKERS = markers([TARGETED]) - {"How many", "Label"}  # which instructions have as well


class Weak(NamedTuple):
    """A failing label: the root of its first weak row by id, its need, its weak rows' texts."""

    root: str
    weight: float
    texts: list[str]


class Task(TypedDict):
    """What it writes."""

    instruction: str
    input: str | None
    labels: list[str]
    gen: Gen | None


class InfinitySubject(RowStage):
    """Round 0 passes the seed on; later ones write instructions for the labels that fail.

    Where none fails, or no fewer than a round before, every seed leaves: the loop is over.
    """

    version: ClassVar[int] = 3
    codes: ClassVar[frozenset[str]] = REPLY_CODES | REWRITE_FLAWS | {
        "copied_example", "no_list", "over_limit", "not_failing", "no_progress"
    }  # fmt: skip

    labels: str = Field(default="scores.merged_labels.labels", pattern=r"^\w+(\.\w+)*$")
    """Column with the seed's labels."""
    diagnosis: str = Field(default="scores.diagnosis", pattern=r"^\w+\.\w+$")
    """Where `is_weak` and `failing` stand in the pool."""
    calls: int = Field(default=8, ge=1)
    """Requests per failing label in the mean: one each, the rest by `weights`; our choice, too."""
    n: int = Field(default=5, ge=1)
    """Instructions per request."""
    shots: int = Field(default=8, ge=1)
    """Weak instructions that are shown."""
    sampling: Sampling = Sampling(temperature=1.0, top_p=0.95, max_tokens=2048)

    def reads(self) -> frozenset[str]:
        """The labels are a parameter."""
        return frozenset({"instruction", "input", "root", self.labels})

    def optional(self) -> frozenset[str]:
        """A seed need not have an input."""
        return frozenset({"input"})

    def needs(self) -> dict[str, Op]:
        """One strong model writes; the one that is tuned is the diagnosis's."""
        return {"generator": "generate"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> list[Task | Drop] | Drop:
        """Pass on, or write for the labels that are this seed's to serve."""
        if not ctx.round:
            task, labels = row["instruction"], row[self.labels] or []
            return [Task(instruction=task, input=row.get("input"), labels=labels, gen=None)]
        failing = self._failing(ctx.pool, ctx.round - 1)
        if ctx.round > 1 and len(failing) >= len(last := self._failing(ctx.pool, ctx.round - 2)):
            return Drop("no_progress", f"{len(last)} labels failed, then {len(failing)}")
        labels, spare = sorted(failing), (self.calls - 1) * len(failing)
        weights = [failing[label].weight for label in labels]
        shares = zip(labels, quotas(spare, weights, [spare] * len(labels)), strict=True)
        own = [x for x, n in shares for _ in range(1 + n) if failing[x].root == row["root"]]
        tasks = (self._list(x, failing[x].texts, ctx.branch(i)) for i, x in enumerate(own))
        made = [task for tasks in await asyncio.gather(*tasks) for task in tasks]
        return made or Drop("not_failing", f"{len(failing)} labels fail, none of this seed's")

    def _failing(self, pool: pa.Table | None, number: int) -> dict[str, Weak]:
        """Return every label that failed in a round."""
        assert pool is not None
        struct, label_of = self.diagnosis.split(".")
        rows = rows_where(pool, f"{self.diagnosis}.is_weak", round=number).sort_by("id")
        found: dict[str, Weak] = {}
        for row in rows.select(["root", "instruction", struct]).to_pylist():
            told, text = row[struct][label_of], row["instruction"]
            for label, weight in zip(told["failing"], told["weights"], strict=True):
                found.setdefault(label, Weak(row["root"], weight, [])).texts.append(text)
        return found

    async def _list(self, label: str, weak: list[str], ctx: Context) -> list[Task | Drop]:
        """Ask for one list, and look at every instruction of it alone."""
        examples = [" ".join(text.split()) for text in weak[: self.shots]]
        shown = "\n".join(f"- {text}" for text in examples)
        said = TARGETED.format(n=self.n, label=label, examples=shown)
        ask: list[Message] = [{"role": "user", "content": said}]
        reply = await complete(ctx.llm("generator"), ask, self.sampling, whole=False)
        if isinstance(reply, Drop):
            return [reply]
        is_cut = reply.finish_reason == "length"
        return [
            Drop(flaw, text)
            if flaw
            else Task(instruction=text, input=None, labels=[label], gen=reply.gen)
            for flaw, text in listed(reply.text, examples, MARKERS, self.n, is_cut=is_cut)
        ]
