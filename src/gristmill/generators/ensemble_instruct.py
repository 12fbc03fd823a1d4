"""Ensemble-Instruct, first step: one new task per request, apart for tasks with and without input.

Source: Lee et al., "Ensemble-Instruct: Generating Instruction-Tuning Data with a Heterogeneous
Mixture of LMs", arXiv:2310.13961, section 3.1; `IBM/ensemble-instruct` (Apache-2.0) for numbers.
The next steps are `filters.rouge_novelty` and `ensemble_instances`.
Differs from the paper: our own header; the pool grows between rounds; a seed's request shows that
seed among the others, so that lineage is true; no top-k and no least length.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypedDict

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.instances import Seed, brought
from gristmill.text.task_rules import MODALITIES, TASK_FLAWS, one_line, task_flaw

END = "|EoI|"
"""Ends every task of a list, and so the one that a model writes."""
HEADERS = {
    "input": "Below are tasks for a text assistant, each about a given input that is not shown.\n",
    "output": "Below are tasks for a text assistant, each complete without any input.\n",
}
Kind = Literal["input", "output"]


class Task(TypedDict):
    """What it writes; `kind` says whether the task is about an input."""

    instruction: str
    input: str | None
    output: str | None
    gen: Gen | None
    kind: Kind
    shown: list[str]


class EnsembleInstruct(RowStage):
    """Round 0 takes the seed into the pool; in later ones it gives one task of its own kind."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | TASK_FLAWS

    shots_with_input: int = Field(default=24, ge=1)
    """Tasks shown, the row's own included, where tasks are about an input."""
    shots: int = Field(default=10, ge=1)
    """The same where they are not."""
    machine_shots: int = Field(default=4, ge=0)
    """Of these, at most so many that a model made."""
    banned: tuple[str, ...] = Field(default=MODALITIES, min_length=1)
    """Words and phrases that no task may have, in any case."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=256, stop=(END,))

    def needs(self) -> dict[str, Op]:
        """One base model continues the list, as plain text."""
        return {"generator": "generate"}

    async def __call__(self, row: Seed, ctx: Context) -> list[Task | Drop] | Drop:
        """Ask for one task."""
        task, (given, output) = row["instruction"], brought(row)
        kind: Kind = "input" if given else "output"
        if not ctx.round:
            return [
                Task(instruction=task, input=given, output=output, gen=None, kind=kind, shown=[])
            ]
        shown = self._draw(task, kind, ctx)
        lines = [f"{i}. {one} {END}" for i, one in enumerate(shown, 1)]
        prompt = "\n".join([HEADERS[kind], *lines, f"{len(shown) + 1}."])
        reply = await complete(ctx.llm("generator"), prompt, self.sampling)
        if isinstance(reply, Drop):
            return reply
        text = one_line(reply.text.split(END)[0])
        if flaw := task_flaw(text, self.banned):
            return [Drop(flaw[0], f"{flaw[1]}: {text}")]
        gen = reply.gen
        return [Task(instruction=text, input=None, output=None, gen=gen, kind=kind, shown=shown)]

    def _draw(self, own: str, kind: Kind, ctx: Context) -> list[str]:
        """Return the row's own task among others of its kind: machine-made first, then seeds."""
        assert ctx.pool is not None
        no_input = pc.is_null(ctx.pool["input"])
        same = ctx.pool.filter(pc.invert(no_input) if kind == "input" else no_input)
        same = same.filter(pc.not_equal(same["instruction"], own))
        by_people = pc.equal(same["round"], 0)
        most = self.shots_with_input if kind == "input" else self.shots
        shown = [
            own,
            *_sample(same.filter(pc.invert(by_people)), self.machine_shots, most - 1, ctx),
        ]
        shown += _sample(same.filter(by_people), most - len(shown), most, ctx)
        ctx.rng.shuffle(shown)
        return [one_line(task) for task in shown]


def _sample(rows: pa.Table, k: int, most: int, ctx: Context) -> list[Any]:
    """Return up to `k` different tasks: a task with several instances has a row for each."""
    tasks = pc.unique(rows["instruction"]).to_pylist()
    return ctx.rng.sample(tasks, k=min(k, most, len(tasks)))
