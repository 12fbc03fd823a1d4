"""AutoIF: put an instruction that a program can check on tasks, with passages where there are some.

Sources: Dong et al., "Self-play with Execution Feedback: Improving Instruction-following
Capabilities of Large Language Models", arXiv:2406.13542, section 3.2 (queries of 20 to 300
characters, 16 an instruction in `QwenLM/AutoIF`, Apache-2.0); Dong et al., "Toward General
Instruction-Following Alignment for Retrieval-Augmented Generation", arXiv:2410.09584 (VIF-RAG:
4 questions an instruction, each with three passages).
Differs from the papers: the tasks are a file of yours; those that come along are ours.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar, TypedDict

from pydantic import Field, PrivateAttr, model_validator

from gristmill.errors import InputError
from gristmill.formats.others import absolute, files, pinned
from gristmill.formats.parts import parse
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import Drop, RowStage

QUERIES = "shipped:auto_if.queries.jsonl"
PLAIN = "{query}\n{instruction}"
WITH_PASSAGES = """Answer the question with the help of the passages below.

### Passages
{passages}

### Question
{query}

### What the answer must keep to
{instruction}"""


class Atom(TypedDict):
    """What it reads."""

    instruction: str


class Task(TypedDict):
    """What it writes: what to ask, and its two parts."""

    instruction: str
    query: str
    demand: str
    """The instruction that it was made from."""
    split: str
    """general, or rag where passages stand in it."""


class AutoIfQueries(RowStage):
    """Make rows of an instruction, each with another task of the file."""

    version: ClassVar[int] = 2

    codes: ClassVar[frozenset[str]] = frozenset({"no_query"})

    queries: str = QUERIES
    """File of tasks: `query`, and `passages`, a list of texts, where there are some."""
    n: int = Field(default=16, ge=0)
    """Tasks without passages."""
    n_rag: int = Field(default=4, ge=0)
    """Tasks with passages."""
    min_chars: int = Field(default=20, ge=0)
    max_chars: int = Field(default=300, ge=1)
    """Tasks of another length are never drawn."""
    pin: str = ""
    """Of the queries; filled in from the file, an error where it differs."""

    @model_validator(mode="before")
    @classmethod
    def _pin(cls, given: dict[str, Any]) -> dict[str, Any]:
        return pinned({"queries": QUERIES, **given}, "queries")

    _file: str = PrivateAttr()
    """The file from anywhere: workers of a cluster start in other folders."""

    def model_post_init(self, _: Any) -> None:
        """Remember the folder that the recipe was checked in."""
        (self._file,) = absolute([self.queries])

    async def __call__(self, row: Atom, ctx: Context) -> list[Task | Drop]:
        """Draw without putting back."""
        fit = [
            one
            for one in _read(self._file, self.pin)
            if self.min_chars <= len(one[0]) <= self.max_chars
        ]
        drawn = list[tuple[str, tuple[str, ...]]]()
        for n, is_rag in ((self.n, False), (self.n_rag, True)):
            some = [one for one in fit if bool(one[1]) == is_rag]
            drawn += ctx.rng.sample(some, min(n, len(some)))
        if not drawn:
            return [
                Drop(
                    "no_query", f"{self.queries}: none of {self.min_chars}..{self.max_chars} chars"
                )
            ]
        return [_task(row["instruction"], query, passages) for query, passages in drawn]


def _task(demand: str, query: str, passages: tuple[str, ...]) -> Task:
    told = "\n\n".join(passages)
    form = WITH_PASSAGES if passages else PLAIN
    text = form.format(query=query, instruction=demand, passages=told)
    split = "rag" if passages else "general"
    return Task(instruction=text, query=query, demand=demand, split=split)


@lru_cache(maxsize=4)
def _read(path: str, pin: str) -> list[tuple[str, tuple[str, ...]]]:
    """Read the tasks once per process.

    Raises:
        InputError: a row has no text as `query`, or `passages` that are no list of texts.
    """
    found = []
    for name, data in files(path, "queries"):
        part = parse(name, data)
        for line, row in zip(part.lines, part.rows, strict=True):
            query, passages = row.get("query"), row.get("passages") or []
            if not isinstance(query, str) or not all(isinstance(one, str) for one in passages):
                raise InputError(f"{part.name} line {line}: a task needs the text `query`")
            found.append((query.strip(), tuple(passages)))
    return found
