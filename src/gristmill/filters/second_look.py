"""Drop answers about a picture that a second look at it does not bear out.

Source: Liu et al., "MMInstruct: A High-Quality Multi-Modal Instruction Tuning Dataset with
Extensive Diversity", arXiv:2407.15838, section 3, where people correct a part of the rows: a model
that writes from a description alone invents what nobody saw.
Differs from the paper: a model that sees looks at a sample; what people correct comes back through
`filters.corrected`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Op
from gristmill.engines.seeing import data_url
from gristmill.errors import InputError
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, judge
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.turns import user

PROMPT = """Look at the picture. Below are a question about it and an answer. Is the answer right, \
and is all that it names to be seen? Reply with one word: yes or no.

### Question
{question}

### Answer
{answer}

### Yes or no"""


class About(TypedDict):
    """What it reads; `image` is a data URL, or a file below `folder`."""

    image: str
    instruction: str
    output: str


class Looked(TypedDict):
    """What it writes."""

    looked: bool
    """Whether the row was in the sample."""


class SecondLook(RowStage):
    """Show a model that sees a part of the rows, by chance; those it denies leave."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"bad_image", "not_seen"}

    rate: float = Field(default=0.1, ge=0, le=1)
    """Share (0..1) of the rows that are looked at: each takes a call with the picture. Our choice;
    1 looks at all."""
    folder: Path = Path()
    """Where the files of pictures are; nothing outside it, and no other file, is ever sent."""

    def needs(self) -> dict[str, Op]:
        """A model that sees, better not the one that described the picture."""
        return {"viewer": "see"}

    async def __call__(self, row: About, ctx: Context) -> Looked | Drop:
        """Ask once, greedily."""
        if ctx.rng.random() >= self.rate:
            return {"looked": False}
        try:
            url = await asyncio.to_thread(data_url, row["image"], self.folder)
        except InputError as error:
            return Drop("bad_image", str(error))
        ask = [user(PROMPT.format(question=row["instruction"], answer=row["output"]))]
        said = await judge(ctx.llm("viewer").viewing(url), ask, {"yes", "no"})
        if isinstance(said, Drop):
            return said
        return {"looked": True} if said == "yes" else Drop("not_seen", row["output"])
