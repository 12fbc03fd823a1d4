"""Self-Instruct, next steps: is a task a classification, then up to five inputs with outputs.

Source: Wang et al., "Self-Instruct: Aligning Language Models with Self-Generated Instructions",
arXiv:2212.10560, section 2.2 (classification task identification, instance generation);
`yizhongw/self-instruct` (Apache-2.0) for the rules of parsing.
Differs from the paper: our own worked examples; no presence penalty; what is no instance is kept
among the rejected rows. Layouts of a row for training are the trainer's.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NotRequired, TypedDict, cast

from pydantic import Field

from gristmill.engines.requests import Completion, Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.instances import flaw, input_first, label_first
from gristmill.text.task_rules import one_line

IS_CLASSIFICATION = "Can the task be answered with one of a few fixed labels?\n\n"
INPUT_FIRST = (
    "Give several examples for each task: the input, where it needs one, and the right output.\n\n"
)
OUTPUT_FIRST = "Give an input for every class label that a task can have.\n\n"
EXAMPLES = Path(__file__).with_suffix(".examples.jsonl")


class Task(TypedDict):
    """What it reads; a task with an output is passed on as it is."""

    instruction: str
    input: NotRequired[str | None]
    output: NotRequired[str | None]
    gen: NotRequired[Gen | None]
    is_classification: NotRequired[bool | None]


class Instance(TypedDict):
    """What it writes."""

    input: str | None
    output: str
    gen: Gen | None
    is_classification: bool | None


class SelfInstructInstances(RowStage):
    """Make rows of a task, one per instance: input first, or label first where labels are few.

    Label first keeps a model from writing inputs of one class only.
    """

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | frozenset(
        {"no_marker", "no_answer", "refusal", "input_is_output", "ends_with_colon", "repeated"}
        | {"contradicts", "over_limit"}
    )

    k: int = Field(default=5, ge=1)
    """Instances per task at most; which ones is drawn."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=350)
    """Of instances, input first; label first gets 50 tokens fewer, yes or no gets 3."""

    def needs(self) -> dict[str, Op]:
        """One model says what a task is and makes its instances, as plain text."""
        return {"generator": "generate"}

    async def __call__(self, row: Task, ctx: Context) -> list[Instance | Drop] | Drop:
        """Ask for yes or no, then once for all instances."""
        if row.get("output"):
            return [cast("Instance", {name: row.get(name) for name in self.writes()})]
        asks, by_input, by_label = _blocks()
        llm, task = ctx.llm("generator"), f"Task: {one_line(row['instruction'])}\n"
        short = Sampling(temperature=0.0, max_tokens=3, stop=("\n",))
        said = await complete(llm, f"{asks}{task}Few fixed labels:", short, whole=False)
        if isinstance(said, Drop):
            return said
        labelled = said.text.strip() in ("Yes", "yes", "YES")
        how = replace(self.sampling, stop=("\nExample 6", "\nTask:"))
        if labelled:
            how = replace(how, max_tokens=max(1, how.max_tokens - 50), stop=("\nTask:",))
        reply = await complete(llm, (by_label if labelled else by_input) + task, how, whole=False)
        if isinstance(reply, Drop):
            return reply
        if reply.text.lstrip().startswith("Task:"):  # the next task, and no instance of this one
            return Drop("no_marker", reply.text)
        found = label_first(reply.text) if labelled else input_first(reply.text)
        return self._instances(found, reply, labelled, ctx)

    def _instances(
        self, pairs: list[tuple[str, str | None]], reply: Completion, labelled: bool, ctx: Context
    ) -> list[Instance | Drop] | Drop:
        if not pairs:
            return Drop("no_marker", reply.text)
        cut = len(pairs) - 1 if reply.finish_reason == "length" else len(pairs)
        answers: dict[str, str | None] = {}
        for given, output in pairs[:cut]:
            if given and answers.setdefault(given, output) != output:
                return Drop("contradicts", f"{answers[given]} and {output} for: {given}")
        again = ["repeated" if pair in pairs[:i] else None for i, pair in enumerate(pairs)]
        codes = [flaw(*pair) or other for pair, other in zip(pairs, again, strict=True)]
        codes[cut:] = ["cut_off"] * (len(pairs) - cut)
        good = [i for i, code in enumerate(codes) if not code]
        for i in {*good} - {*ctx.rng.sample(good, k=min(self.k, len(good)))}:
            codes[i] = "over_limit"
        made = zip(codes, pairs, strict=True)
        return [
            Drop(code, f"{given} -> {output}")
            if code
            else _instance(given, output, reply, labelled)
            for code, (given, output) in made
        ]


def _instance(given: str, output: str | None, reply: Completion, labelled: bool) -> Instance:
    gen = reply.gen
    return Instance(input=given or None, output=output or "", gen=gen, is_classification=labelled)


@cache
def _blocks() -> tuple[str, str, str]:
    """Return the three constant beginnings: yes or no, input first, label first."""
    asks, by_input, by_label = [IS_CLASSIFICATION], [INPUT_FIRST], [OUTPUT_FIRST]
    for line in EXAMPLES.read_text(encoding="utf-8").splitlines():
        example: dict[str, Any] = json.loads(line)
        task, labelled = f"Task: {example['instruction']}\n", example["is_classification"]
        asks.append(f"{task}Few fixed labels: {'Yes' if labelled else 'No'}\n\n")
        lines = [task]
        for i, (given, output) in enumerate(example["instances"], 1):
            first = f"Input: {given}\n" if given else ""
            lines += f"Class label: {output}\n{first}" if labelled else (
                f"Example {i}\n{first}Output: {output}\n"
            )  # fmt: skip
        (by_label if labelled else by_input).append("".join(lines) + "\n")
    return "".join(asks), "".join(by_input), "".join(by_label)
