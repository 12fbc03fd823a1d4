"""Self-Instruct, first step: continue a list of tasks with new ones, from a pool that grows.

Source: Wang et al., "Self-Instruct: Aligning Language Models with Self-Generated Instructions",
arXiv:2212.10560, section 2.2 (instruction generation); `yizhongw/self-instruct` (Apache-2.0) for
the rules of parsing. The next steps are `filters.rouge_novelty` and `self_instruct_instances`.
Differs from the paper: our own header; the pool grows between rounds, not after every batch; a
seed's request shows that seed and seven others, so that lineage is true; no presence penalty; names
keep their capitals.
"""

from __future__ import annotations

import re
from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.instances import Seed, brought
from gristmill.text.pools import mixed
from gristmill.text.task_rules import MODALITIES, TASK_FLAWS, one_line, task_flaw

TASKS = "Below is a list of tasks for a text assistant. No two of them are alike.\n\n"
CLASSIFICATION = (
    "Below is a list of classification tasks, each with a small set of possible labels, which the "
    "task names where it can. No two of them are alike.\n\n"
)
NEXT = re.compile(r"\n[ \t]*\d+\s?\.\s")
LAST = 16
"""The number at which a list is long enough."""


class Task(TypedDict):
    """What it writes."""

    instruction: str
    input: str | None
    output: str | None
    gen: Gen | None
    shown: list[str]
    """The tasks of the list that a new one continues, in order; none for a seed."""


class SelfInstruct(RowStage):
    """Round 0 takes the seed into the pool; in later ones its list gives new tasks without output.

    The pool is what earlier rounds accepted: seeds, and what the model made.
    """

    codes: ClassVar[frozenset[str]] = REPLY_CODES | TASK_FLAWS

    shots: int = Field(default=8, ge=1, le=LAST - 2)
    """Tasks of the list, the row's own included."""
    machine_shots: int = Field(default=2, ge=0)
    """Of these, at most so many that the model made."""
    classification: bool = False
    """Ask for classification tasks; the seeds should all be."""
    banned: tuple[str, ...] = Field(default=MODALITIES, min_length=1)
    """Words and phrases that no task may have, in any case."""
    sampling: Sampling = Sampling(
        temperature=0.7, top_p=0.5, max_tokens=1024, stop=("\n\n", f"\n{LAST}.")
    )

    def needs(self) -> dict[str, Op]:
        """One model continues the list, as plain text."""
        return {"generator": "generate"}

    async def __call__(self, row: Seed, ctx: Context) -> list[Task | Drop] | Drop:
        """Ask for one list, and look at every task of it alone."""
        if not ctx.round:
            task, (given, output) = row["instruction"], brought(row)
            return [Task(instruction=task, input=given, output=output, gen=None, shown=[])]
        assert ctx.pool is not None
        shots = self.shots, self.machine_shots
        shown = [one_line(text) for text in mixed(ctx.pool, row["instruction"], *shots, ctx.rng)]
        reply = await complete(ctx.llm("generator"), self.request(shown), self.sampling)
        if isinstance(reply, Drop):
            return reply
        return [self._task(text, shown, reply.gen) for text in listed(reply.text)]

    def request(self, shown: list[str]) -> str:
        """Return the list up to the number that the model continues with."""
        header = CLASSIFICATION if self.classification else TASKS
        lines = [f"{i}. {task}" for i, task in enumerate(shown, 1)]
        return header + "\n".join([*lines, f"{len(shown) + 1}."])

    def _task(self, text: str, shown: list[str], gen: Gen) -> Task | Drop:
        if flaw := task_flaw(text, self.banned):
            return Drop(flaw[0], f"{flaw[1]}: {text}")
        return {"instruction": text, "input": None, "output": None, "gen": gen, "shown": shown}


def listed(text: str) -> list[str]:
    """Return the items of a list that a reply went on with, each on one line; at least one."""
    found = [one_line(item) for item in NEXT.split(f"\n{text}" if text[:1].isdigit() else text)]
    return [item for item in found if item] or [""]
