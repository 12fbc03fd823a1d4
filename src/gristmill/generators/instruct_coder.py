"""InstructCoder, first step: new instructions for code edits, from a pool that grows.

Source: Li et al., "InstructCoder: Instruction Tuning Large Language Models for Code Editing",
arXiv:2310.20329, section 3.2; `qishenghu/CodeInstruct` (MIT) for the rules of parsing. Seeds are
commits of a git repository; `filters.rouge_novelty` and `instruct_coder_edits` come next.
Differs from the paper: our own prompt; the pool grows between rounds; a seed's request shows that
seed and seven others of which at most one is the model's, so that lineage is true; edit types go
round from a place that the row draws; no presence penalty.
"""

from __future__ import annotations

import re
from typing import ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.detectors import declines
from gristmill.text.pools import mixed

LIST = """Here are instructions for changes to Python code, as developers give them to each \
other. Continue the list with {n} more. Each asks for one kind of change, can be carried out on \
some short piece of code, and says nothing of a file, a project or an earlier instruction. Vary \
verbs and subjects. Write one per line, with its number, in double quotes, and nothing else.
"""
TYPED = "All new ones ask for this kind of change: {kind}.\n"
KINDS = (
    "fix a bug", "handle an edge case", "handle errors", "validate input", "add logging",
    "add a parameter", "change a default", "return something else", "rename for clarity",
    "extract a function", "inline a function", "remove dead code", "remove duplication",
    "simplify a condition", "simplify a loop", "add type annotations", "add a docstring",
    "improve a message", "make it faster", "use less memory", "cache results",
    "use the standard library", "change a data structure", "make a class of functions",
    "make it asynchronous", "support another format",
)  # fmt: skip
"""26 kinds of edits, as many as the paper has."""
QUOTED = re.compile(r'^\s*\d+[.)]\s*"(.+)"[.,;]?\s*$')


class Seed(TypedDict):
    """What it reads: an edit of people."""

    instruction: str
    input: NotRequired[str | None]
    output: NotRequired[str | None]


class Asked(TypedDict):
    """What it writes; a new instruction has neither code nor edit yet."""

    instruction: str
    input: str | None
    output: str | None
    gen: Gen | None
    edit_type: str | None
    shown: list[str]
    """The instructions that a new one continues, in order; none for a seed."""


class InstructCoder(RowStage):
    """Round 0 takes the seed into the pool; in later ones its list gives new instructions."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"not_quoted", "refusal"}

    shots: int = Field(default=8, ge=1, le=20)
    """Instructions of the list, the row's own included."""
    machine_shots: int = Field(default=1, ge=0)
    """Of these, at most so many that the model made."""
    lists: int = Field(default=1, ge=1, le=len(KINDS))
    """Requests per seed and round, each for the next kind of edit. Our choice."""
    typed: bool = True
    """Whether a request names a kind of edit."""
    more: int = Field(default=20, ge=1)
    """Instructions that a request asks for. Our choice."""
    sampling: Sampling = Sampling(temperature=0.7, top_p=0.5, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """One model continues the list."""
        return {"generator": "generate"}

    async def __call__(self, row: Seed, ctx: Context) -> list[Asked | Drop]:
        """Ask for lists, and look at every line of them alone."""
        if not ctx.round:
            given, output = row.get("input"), row.get("output")
            return [_asked(row["instruction"], given=given, output=output)]
        assert ctx.pool is not None
        shots, start = (self.shots, self.machine_shots), ctx.rng.randrange(len(KINDS))
        rows: list[Asked | Drop] = []
        for i in range(self.lists):
            kind = KINDS[(start + i) % len(KINDS)] if self.typed else None
            found = mixed(ctx.pool, row["instruction"], *shots, ctx.rng)
            shown = [" ".join(text.split()) for text in found]
            reply = await complete(ctx.llm("generator"), self.request(shown, kind), self.sampling)
            if isinstance(reply, Drop):
                rows.append(reply)
                continue
            lines = [line for line in reply.text.split("\n") if line.strip()]
            rows += [_read(line, reply.gen, kind, shown) for line in lines]
        return rows

    def request(self, shown: list[str], kind: str | None) -> list[Message]:
        """Return the list up to where the model continues."""
        lines = [f'{i}. "{text}"' for i, text in enumerate(shown, 1)]
        typed = TYPED.format(kind=kind) if kind else ""
        text = LIST.format(n=self.more) + "\n".join([typed, *lines])
        return [{"role": "user", "content": text}]


def _read(line: str, gen: Gen, kind: str | None, shown: list[str]) -> Asked | Drop:
    found = QUOTED.match(line)
    if not found:
        return Drop("not_quoted", line)
    if said := declines(found[1]):
        return Drop("refusal", said)
    return {**_asked(found[1].strip()), "gen": gen, "edit_type": kind, "shown": shown}


def _asked(text: str, given: str | None = None, output: str | None = None) -> Asked:
    return {"instruction": text, "input": given, "output": output, "gen": None, "edit_type": None,
            "shown": []}  # fmt: skip
