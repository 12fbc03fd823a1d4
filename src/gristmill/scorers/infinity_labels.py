"""Labels on two levels: what an answer takes, in words of its own, and the field each belongs to.

Source: Li et al., "Infinity Instruct", arXiv:2506.11116 (phase 2, labelling), and
"InfinityInstruct-Subject", arXiv:2507.06968 (hierarchical tags): a 72B model writes fine labels,
which end as about 15,000 on the second level and 26 on the first. `merged_labels` comes next.
Differs from the papers: known from accounts of them. The fields are a list of our own, and stand
beside every label at once instead of being abstracted afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.passes import flagged
from gristmill.engines.requests import Message, Op, Sampling
from gristmill.formats.text_lines import Lines
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.turns import question
from gristmill.text.words import words

PROMPT = """Label an instruction by what an answer to it takes: which knowledge, and which \
abilities. Write one label on each line, behind the field it belongs to and a colon, the most \
important first, {most} at most. A label has one to four words; write it in English, whatever the \
language of the instruction. Write nothing else.

### Fields
{fields}

### Instruction
{instruction}

### Labels, as `field: label`"""
FIELDS = (
    "programming", "data and tables", "mathematics", "logic", "natural science", "engineering",
    "medicine and health", "law", "economics and business", "history", "geography and travel",
    "philosophy and religion", "society and politics", "education", "arts and culture",
    "sports and games", "daily life", "general facts", "language and grammar", "translation",
    "creative writing", "writing for work", "summarising", "extraction and classification",
    "planning", "conversation and roles",
)  # fmt: skip
"""The 26 labels of the first level."""


class Asked(TypedDict):
    """What it reads."""

    instruction: str
    input: NotRequired[str | None]
    flags: NotRequired[list[str] | None]


class Labelled(TypedDict, total=False):
    """What it writes; None where the labeller wrote none."""

    labels: list[str] | None
    """Of the second level, in lower case, most important first."""
    fields: list[str] | None
    """Of the first level, those of the labels, each once."""
    n_unknown: int
    """Lines whose field is in no list, or that have none."""
    flags: list[str]
    """`judge_parse_fail` is added."""


class InfinityLabels(RowStage):
    """Ask once per row, greedily."""

    fields: Lines = Field(default=FIELDS, min_length=1)
    """The labels of the first level, or the path of a file with one on each line."""
    most: int = Field(default=8, ge=1)
    """Labels per row. Our choice; more than four make a row a seed of InfinityInstruct-Subject."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=128)

    def needs(self) -> dict[str, Op]:
        """The labeller is a strong model; the list of fields is in front of all its prompts."""
        return {"labeller": "generate"}

    async def __call__(self, row: Asked, ctx: Context) -> Labelled:
        """Read the lines that name a field."""
        text = question(row["instruction"], row.get("input"))
        fields = "\n".join(self.fields)
        prompt = PROMPT.format(most=self.most, fields=fields, instruction=text)
        ask: list[Message] = [{"role": "user", "content": prompt}]
        reply = await complete(ctx.llm("labeller"), ask, self.sampling, whole=False)
        if isinstance(reply, Drop):
            found, n_unknown = dict[str, str](), 1
        else:
            is_cut = reply.finish_reason == "length"
            lines = reply.text.splitlines()
            found, n_unknown = read(lines[: len(lines) - is_cut], self.fields)
        if not found:
            failed = flagged(row, {"judge_parse_fail"})
            return {"labels": None, "fields": None, "n_unknown": n_unknown, **failed}
        kept = dict(list(found.items())[: self.most])
        return {
            "labels": list(kept),
            "fields": list(dict.fromkeys(kept.values())),
            "n_unknown": n_unknown,
        }


def read(lines: Sequence[str], fields: Sequence[str]) -> tuple[dict[str, str], int]:
    """Return the field of every label, each label once, and how many lines name no field."""
    known = {" ".join(words(field)): field for field in fields}
    found, n_unknown = dict[str, str](), 0
    for line in filter(str.strip, lines):
        field, _, label = line.lstrip("-*0123456789.) \t").partition(":")
        name, text = " ".join(words(field)), " ".join(words(label))
        if name in known and text:
            found.setdefault(text, known[name])
        else:
            n_unknown += 1
    return found, n_unknown
