"""Dynosaur: what is known about a dataset becomes tasks, and its rows become their instances.

Source: Yin et al., "Dynosaur: A Dynamic Growth Paradigm for Instruction-Tuning Data Curation",
arXiv:2305.14327, section 2; `WadeYin9712/Dynosaur` (code Apache-2.0). Growth: `selectors.replay`.
Differs from the paper: our own prompts and worked examples, rules first; tasks are JSON; languages
are not told apart; labels need 20 samples.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.record_fields import label_flaw, labels, one_of, phrase, records, usable
from gristmill.text.record_tasks import Task, designed

RULES = """Design up to three tasks for a language model from what is known about a dataset. A \
task has an instruction, one or more input fields, and one output field. Fields are named as in \
the samples, and no input field is the output field. The instruction can be followed by somebody \
who sees the input alone. Reply with one JSON object of tasks and nothing else.
"""
EXAMPLES = Path(__file__).with_suffix(".examples.jsonl")
OPEN = ("apache", "mit", "bsd", "cc0", "cc-by-4", "cc-by-3", "cc-by-sa", "odc", "pddl", "unlicense")
"""How the names of permissive licences begin."""
MAX_FIELD, MAX_TEXT, LABELLED = 1000, 2000, 100  # characters in a prompt, in a row; samples


class Dataset(TypedDict):
    """What it reads; `samples` are its rows, also as JSON text. The first two are shown."""

    task_name: str
    samples: list[dict[str, str]] | str
    description: NotRequired[str | None]
    license: NotRequired[str | None]
    website: NotRequired[str | None]


class Instance(TypedDict):
    """What it writes; the licence stays that of the dataset."""

    instruction: str
    input: str
    output: str
    gen: Gen
    license: str | None
    task_name: str
    website: str | None
    input_fields: list[str]
    output_field: str


class Dynosaur(RowStage):
    """Make rows of a dataset: up to six tasks, each with up to `k` of its samples."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {
        "not_permissive", "bad_samples", "too_few_fields", "no_output_field", "unknown_field",
        "input_is_output", "repeated", "nested_output", "skewed_labels", "leaks_label", "no_answer",
    }  # fmt: skip

    k: int = Field(default=200, ge=1)
    """Instances per task, drawn."""
    licenses: tuple[str, ...] = OPEN
    """Beginnings of the licences that may be used, in small letters; "" is any, or none."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=256)

    def needs(self) -> dict[str, Op]:
        """One role designs the tasks; instances cost nothing."""
        return {"generator": "generate"}

    async def __call__(self, row: Dataset, ctx: Context) -> list[Instance | Drop] | Drop:
        """Ask with and without the description, join the tasks of both, fill in the samples."""
        licence = "-".join((row.get("license") or "").lower().split())
        if not licence.startswith(self.licenses):
            return Drop("not_permissive", f"license: {row.get('license')}")
        if (rows := records(row["samples"])) is None:
            return Drop("bad_samples", "no list of objects, nor JSON of one")
        first = [usable(one, MAX_FIELD) for one in rows[:2]]
        if len(names := {name for one in first for name in one}) < 2:
            return Drop("too_few_fields", f"{sorted(names)}")
        record = {"dataset": row["task_name"], "samples": first}
        about = {**record, "description": (row.get("description") or "")[:MAX_FIELD]}
        llm, made, seen = ctx.llm("generator"), list[Instance | Drop](), list[Task]()
        asks = (_ask("with", about), _ask("without", record))
        for reply in await asyncio.gather(*(complete(llm, ask, self.sampling) for ask in asks)):
            if isinstance(reply, Drop):
                made.append(reply)
                continue
            for one in designed(reply.text, names, seen):
                if isinstance(one, Task):
                    seen.append(one)
                    made += self._instances(one, rows, row, reply.gen, ctx)
                else:
                    made.append(Drop(*one))
        return made

    def _instances(
        self, task: Task, rows: list[dict[str, Any]], row: Dataset, gen: Gen, ctx: Context
    ) -> Sequence[Instance | Drop]:
        """Return the rows of a task, or the one reason why it has none."""
        fields = {*task.inputs, task.output}
        whole = [one for one in (usable(each, MAX_TEXT) for each in rows) if fields <= one.keys()]
        values = [one[task.output] for one in whole[:LABELLED]]
        counts = labels([str(value) for value in values])
        if flaw := label_flaw(task.instruction, values, counts):
            return [Drop(flaw[0], f"{task.output}: {flaw[1]}")]
        places = sorted(ctx.rng.sample(range(len(whole)), k=min(self.k, len(whole))))
        made = [
            Instance(
                instruction=task.instruction + one_of(counts), license=row.get("license"), gen=gen,
                input=phrase(one, task.inputs)[:MAX_TEXT], output=str(one[task.output])[:MAX_TEXT],
                task_name=row["task_name"], website=row.get("website"),
                input_fields=list(task.inputs), output_field=task.output,
            )
            for one in (whole[place] for place in places)
        ]  # fmt: skip
        return made or [Drop("no_answer", f"no sample has {task.inputs} and {task.output}")]


def _ask(family: str, record: Mapping[str, Any]) -> list[Message]:
    told = json.dumps(record, ensure_ascii=False, default=str)
    return [{"role": "user", "content": f"{_shown(family)}{told}\n\n### Tasks"}]


@cache
def _shown(family: str) -> str:
    """Return the rules and the two worked examples of one kind of prompt."""
    text = RULES
    for example in map(json.loads, EXAMPLES.read_text(encoding="utf-8").splitlines()):
        if example["family"] == family:
            record, tasks = json.dumps(example["record"]), json.dumps(example["tasks"])
            text += f"\n### Dataset\n{record}\n\n### Tasks\n{tasks}\n"
    return f"{text}\n### Dataset\n"
