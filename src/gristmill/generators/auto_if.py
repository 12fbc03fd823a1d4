"""AutoIF: from a list of instructions that a program can check to a longer one.

Source: Dong et al., "Self-play with Execution Feedback: Improving Instruction-following
Capabilities of Large Language Models", arXiv:2406.13542, section 3.1 (instruction augmentation).
The functions that check them are `filters.auto_if_checks`, the tasks that they are put on
`auto_if_queries`, the answers `auto_if_answers`.
Differs from the paper: our own prompt.
"""

from __future__ import annotations

import re
from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.handles import Llm
from gristmill.engines.requests import Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage

MORE = """Below are instructions about the form of an answer, whatever it is an answer to. A \
program can tell from the answer alone whether it follows them. Write {n} new ones of this kind, \
each different from all others, each on a line of its own after a dash. Write nothing else.

### Instructions
{known}

### New instructions"""
LINE = re.compile(r"^[ \t]*(?:[-*•]|\d+[.)])\s+(\S(?:.*\S)?)[^\S\n]*$", re.MULTILINE)
ARTICLE = re.compile(r"\b(?:an?|the)\s+(?=\w)")


class Known(TypedDict):
    """What it reads: a list of instructions, as a row."""

    atoms: list[str]


class Atom(TypedDict):
    """What it writes."""

    instruction: str
    is_given: bool
    """Whether it stood in the list; else the model wrote it."""


class AutoIf(RowStage):
    """Make a row of every instruction of a list, and of every new one that a model writes."""

    version: ClassVar[int] = 3
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"no_list"}

    n: int = Field(default=50, ge=1)
    """New instructions to ask for."""
    sampling: Sampling = Sampling(temperature=1.0, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """One role."""
        return {"generator": "generate"}

    async def __call__(self, row: Known, ctx: Context) -> list[Atom | Drop]:
        """Show the whole list in one call; a new one that stands in it already is not new."""
        known = list(dict.fromkeys(one.strip() for one in row["atoms"] if one.strip()))
        new = await more(known, self.n, self.sampling, ctx.llm("generator"))
        made = (
            [new] if isinstance(new, Drop) else [Atom(instruction=x, is_given=False) for x in new]
        )
        return [*(Atom(instruction=one, is_given=True) for one in known), *made]


async def more(known: list[str], n: int, sampling: Sampling, llm: Llm) -> list[str] | Drop:
    """Return what a model adds to a list, without what repeats a line."""
    prompt = MORE.format(n=n, known="\n".join(f"- {one}" for one in known))
    reply = await complete(llm, [{"role": "user", "content": prompt}], sampling)
    if isinstance(reply, Drop):
        return reply
    have, new = {_same(one) for one in known}, list[str]()
    for line in LINE.findall(reply.text):
        if (same := _same(line)) not in have:
            have.add(same)
            new.append(line)
    return new[:n] or Drop("no_list", reply.text)


def _same(text: str) -> str:
    """Return what repeats share: all but case, spaces, articles and the full stop.

    One word more may turn a demand round (at least, at most): no measure of likeness sees that.
    """
    return " ".join(ARTICLE.sub("", text.casefold()).split()).removesuffix(".")
