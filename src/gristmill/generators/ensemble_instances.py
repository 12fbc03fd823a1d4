"""Ensemble-Instruct, next steps: an instance, two more answers of other models, their consensus.

Source: Lee et al., "Ensemble-Instruct: Generating Instruction-Tuning Data with a Heterogeneous
Mixture of LMs", arXiv:2310.13961, sections 3.2 and 3.3.
Differs from the paper: our own worked examples; parts are read from label to label, so that they
may have several lines; no row is made of a further task in a reply, which ends at its marker.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import ClassVar, TypedDict, cast

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import detectors
from gristmill.text.consensus import How, choose, pair_rates
from gristmill.text.task_rules import one_line
from gristmill.text.turns import question

END = "|EoI|"
WITH_INPUT = f"Give an input for each instruction, and the right output. {END} ends each.\n\n"
WITHOUT = f"Give the right output for each instruction. {END} ends each.\n\n"
BOTH = re.compile(r"(?is)\A\s*input:(.*?)^[ \t]*output:(.*)", re.MULTILINE)
ONE = re.compile(r"(?is)^\s*output:(.*)")
EXAMPLES = Path(__file__).with_suffix(".examples.jsonl")
Task = TypedDict(
    "Task",
    {
        "instruction": str,
        "input": str | None,
        "output": str | None,
        "gen": Gen | None,
        "meta.ensemble_instruct.kind": str,
    },
)


class Agreed(TypedDict):
    """What it writes; `votes` are the three answers, `rates` ROUGE-L of the pairs 01, 02, 12."""

    input: str | None
    output: str
    gen: Gen | None
    consensus: How | None
    votes: list[str]
    rates: list[float]


class EnsembleInstances(RowStage):
    """Write an instance of a task, let two more models answer it, keep what two agree on.

    A task that has its output passes as it is.
    """

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"no_marker", "refusal", "no_consensus"}

    sampling: Sampling = Sampling(temperature=0.7, max_tokens=512, stop=(END,))
    """Of instances; the voters are greedy, with 256 tokens."""

    def needs(self) -> dict[str, Op]:
        """A base model writes; the voters are tuned models, of other families."""
        return {"generator": "generate", "first_voter": "generate", "second_voter": "generate"}

    async def __call__(self, row: Task, ctx: Context) -> Agreed | Drop:
        """Ask for the instance, then both voters at once, without examples."""
        if row["output"]:
            kept = {"input": row["input"], "output": row["output"], "gen": row["gen"]}
            return cast("Agreed", {**kept, "consensus": None, "votes": [], "rates": []})
        kind, told = row["meta.ensemble_instruct.kind"], one_line(row["instruction"])
        prompt = f"{_shown(kind)}Instruction: {told}\n"
        reply = await complete(ctx.llm("generator"), prompt, self.sampling)
        if isinstance(reply, Drop):
            return reply
        found = (BOTH if kind == "input" else ONE).match(reply.text.split(END)[0])
        parts = [part.strip() for part in found.groups()] if found else []
        if not parts or not all(parts):
            return Drop("no_marker", reply.text)
        given, own = (parts[0] if kind == "input" else None), parts[-1]
        ask: list[Message] = [{"role": "user", "content": question(row["instruction"], given)}]
        how = replace(self.sampling, temperature=0.0, max_tokens=256, stop=())
        voters = [complete(ctx.llm(f"{which}_voter"), ask, how) for which in ("first", "second")]
        votes, gens = [own], [reply.gen]
        for vote in await asyncio.gather(*voters):
            if isinstance(vote, Drop):
                return vote
            votes.append(vote.text.strip())
            gens.append(vote.gen)
        rates = pair_rates(votes)
        if (choice := choose(votes, rates)) is None:
            return Drop("no_consensus", f"{rates}: {votes}")
        place, consensus = choice
        if declined := detectors.declines(votes[place]):
            return Drop("refusal", declined)
        return Agreed(
            input=given, output=votes[place], gen=gens[place], consensus=consensus, votes=votes,
            rates=rates,
        )  # fmt: skip


@cache
def _shown(kind: str) -> str:
    """Return the constant beginning of the prompts of one kind."""
    text = WITH_INPUT if kind == "input" else WITHOUT
    for example in map(json.loads, EXAMPLES.read_text(encoding="utf-8").splitlines()):
        if bool(example["input"]) == (kind == "input"):
            given = f"Input: {example['input']}\n" if example["input"] else ""
            text += f"Instruction: {example['instruction']}\n{given}"
            text += f"Output: {example['output']}\n{END}\n\n"
    return text
