"""MMInstruct: a picture is described, and questions of four kinds are written from that.

Source: Liu et al., "MMInstruct: A High-Quality Multi-Modal Instruction Tuning Dataset with
Extensive Diversity", arXiv:2407.15838, section 3; `yuecao0119/MMInstruct` (Apache-2.0).
Differs from the paper: our own prompts and closing phrases; pictures are brought and sent as they
are, with low detail asked for; options are shuffled. `filters.second_look` compares a part of the
answers with the picture; what people correct comes back through `filters.corrected`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar, NotRequired, TypedDict, get_args

from pydantic import Field

from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.engines.seeing import data_url
from gristmill.errors import InputError
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import picture_questions as pictures
from gristmill.text.picture_questions import Kind, Question
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.turns import WholeTurn, user

CAPTION = """Describe the picture in as much detail as you can, in at least 120 words. Name all \
objects that can be seen, where they are and what they look like. Do not guess."""
READ = "\nThis text was recognised in it; use it: {texts}"
RULES = """Write questions about a picture from its description, which nobody else sees: speak of \
the picture. They are close in meaning to those that people ask about such pictures; where one of \
these has a choice in angle brackets, take exactly one of its values. Answers follow from the \
description. Number them, each part on a line: "Question 1: ...", "Answer 1: ..."."""
KINDS: dict[Kind, str] = {
    "judgement": "Four questions with the answers Yes, Yes, No and No; where it is No, a detail is "
    "replaced by a plausible wrong one.",
    "choice": 'Three questions, each with a line "Choices 1: A) ... B) ... C) ... D) ..." of which '
    "one is right; the answer is its letter.",
    "long": "Three questions with detailed answers.",
    "short": "Three questions with answers of a few words.",
}
SEEDS = 3  # questions of people that are shown


class Asked(TypedDict):
    """A question of people about pictures of a domain."""

    kind: str
    text: str


class Picture(TypedDict):
    """What it reads: `image` is a file below `folder`, or a data URL."""

    image: str
    seed_questions: NotRequired[list[Asked] | None]
    text_in_image: NotRequired[list[str] | None]
    knowledge: NotRequired[str | None]


class About(TypedDict):
    """What it writes: question and answer, and as `messages` with the picture as a part."""

    instruction: str
    input: str | None
    output: str
    messages: list[WholeTurn]
    gen: Gen
    flags: list[str]
    """`unbalanced` on judgements of which not half are yes."""
    kind: Kind
    choices: list[str]
    caption: str


class MmInstruct(RowStage):
    """Make up to thirteen rows of a picture: one look, and one call per kind of question."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | NON_ANSWERS | {
        "bad_image", "no_question", "placeholder", "bad_choices", "bad_answer"
    }  # fmt: skip

    kinds: tuple[Kind, ...] = Field(default=get_args(Kind), min_length=1)
    folder: Path = Path()
    """Where the files of pictures are; nothing outside it, and no other file, is ever sent."""
    seeing: Sampling = Sampling(temperature=0.0, max_tokens=1024)
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=1024)

    def needs(self) -> dict[str, Op]:
        """One model sees, another writes."""
        return {"viewer": "see", "generator": "generate"}

    async def __call__(self, row: Picture, ctx: Context) -> list[About | Drop] | Drop:
        """Describe the picture, then ask for the questions of all kinds, which share it."""
        try:
            url = await asyncio.to_thread(data_url, row["image"], self.folder)
        except InputError as error:
            return Drop("bad_image", str(error))
        texts = row.get("text_in_image")
        ask = CAPTION + (READ.format(texts="; ".join(texts)) if texts else "")
        reply = await complete(ctx.llm("viewer").viewing(url), [user(ask)], self.seeing)
        if isinstance(reply, Drop):
            return reply
        if code := non_answer(reply.text):
            return Drop(code, reply.text)
        asks = [
            self._asked(kind, row, reply.text.strip(), ctx.branch(i))
            for i, kind in enumerate(self.kinds)
        ]
        return [one for made in await asyncio.gather(*asks) for one in made]

    async def _asked(
        self, kind: Kind, row: Picture, caption: str, ctx: Context
    ) -> list[About | Drop]:
        """Return the questions of a kind."""
        seeds = [one["text"] for one in row.get("seed_questions") or () if one["kind"] == kind]
        seeds = ctx.rng.sample(seeds, min(SEEDS, len(seeds)))
        parts = {
            "Description": caption, "What is known besides": row.get("knowledge") or "Empty",
            "What people ask": "\n".join(seeds) or "Empty", "Write": KINDS[kind],
        }  # fmt: skip
        ask = RULES + "".join(f"\n\n### {name}\n{text}" for name, text in parts.items())
        reply = await complete(ctx.llm("generator"), [user(ask)], self.sampling)
        if isinstance(reply, Drop):
            return [reply]
        found = [pictures.read(one, kind, ctx.rng) for one in pictures.numbered_parts(reply.text)]
        good = [one.answer for one in found if isinstance(one, Question)]
        flags = ["unbalanced"] if kind == "judgement" and not pictures.is_balanced(good) else []
        made = list[About | Drop]()
        for one in found:
            if isinstance(one, str):
                made.append(Drop(one, reply.text))
                continue
            text = pictures.asked(one, ctx.rng.choice(pictures.CLOSINGS[kind]))
            made.append(About(
                instruction=text, input=None, output=one.answer, gen=reply.gen, flags=flags,
                messages=pictures.about(row["image"], text, one.answer), kind=kind, caption=caption,
                choices=list(one.choices),
            ))  # fmt: skip
        return made or [Drop("no_question", reply.text)]
