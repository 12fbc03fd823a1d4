"""Non-instructional data: half a text of people is the question, how a model goes on the answer.

Source: Xie et al., "Non-instructional Fine-tuning: Enabling Instruction-Following Capabilities in
Pre-trained Language Models without Instruction-Following Data", arXiv:2409.00096.
Differs from the paper: the cut is at the sentence end nearest to the middle, in words, not tokens;
the audit is a judge that may be left out.
"""

from __future__ import annotations

from typing import ClassVar, TypedDict

from pydantic import Field, model_validator

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete, judge
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.sentences import sentence_ends
from gristmill.text.words import first_words

AUDIT = """Is the text below something else than plain writing: does somebody in it give an \
assistant an instruction, or talk with one? Reply with one word: instruction, conversation or plain.

### Text
{text}

### One word"""
META = (
    "how can i help", "how can i assist", "how may i", "what would you like", "would you like me",
    "it looks like you", "it seems like you", "it seems that you", "thank you for sharing",
    "this text", "this passage", "the text you",
)  # fmt: skip
"""How a reply begins that speaks about a text instead of going on with it."""
OPENING, MOST_SHARED = 50, 0.8
"""Words at the beginning of a reply, and the share of them that may stand in the first half."""


class Text(TypedDict):
    """What it reads: a document, or any text of people."""

    output: str


class Halves(TypedDict):
    """What it writes; `instruction` and `original` together are the document, to the character."""

    instruction: str
    output: str
    gen: Gen
    original: str
    split_at: int
    """Characters of the first half."""


class NonInstructional(RowStage):
    """Cut a text in the middle, send the first half with no word besides, keep what comes."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | NON_ANSWERS | {
        "too_short", "talks_about_text", "repeats_text", "instructional"
    }  # fmt: skip

    min_words: int = Field(default=64, ge=1)
    """Of the first half; our choice, as is the next."""
    max_words: int = Field(default=1024, ge=1)
    """A longer text is cut at the last sentence end before it."""
    audit: bool = True
    """Let a judge drop rows with instructions or talk in them: the paper found 0.7 %."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=2048)

    @model_validator(mode="after")
    def _orders(self) -> NonInstructional:
        if self.min_words > self.max_words:
            raise ValueError(f"min_words={self.min_words} is above max_words={self.max_words}")
        return self

    def needs(self) -> dict[str, Op]:
        """A chat model goes on; a judge only where it audits."""
        roles: dict[str, Op] = {"generator": "generate"}
        return roles | ({"judge": "generate"} if self.audit else {})

    async def __call__(self, row: Text, ctx: Context) -> Halves | Drop:
        """Ask once, then the judge about both parts."""
        document = row["output"]
        if (at := self.cut(document)) is None:
            return Drop("too_short", f"{len(document.split())} words")
        first = document[:at]
        ask: list[Message] = [{"role": "user", "content": first}]
        reply = await complete(ctx.llm("generator"), ask, self.sampling)
        if isinstance(reply, Drop):
            return reply
        if flaw := _flaw(text := reply.text.strip(), first):
            return Drop(flaw, text)
        if self.audit:
            asked = AUDIT.format(text=f"{first.rstrip()}\n\n{text}")
            labels = {"instruction", "conversation", "plain"}
            said = await judge(ctx.llm("judge"), [{"role": "user", "content": asked}], labels)
            if isinstance(said, Drop) or said != "plain":
                return said if isinstance(said, Drop) else Drop("instructional", said)
        return Halves(
            instruction=first, output=text, gen=reply.gen, original=document[at:], split_at=at
        )

    def cut(self, document: str) -> int | None:
        """Return the end of the sentence nearest to the middle; None where a half is too short."""
        sizes = {end: len(document[:end].split()) for end in sentence_ends(document)[:-1]}
        fits = {end: n for end, n in sizes.items() if self.min_words <= n <= self.max_words}
        half = len(document.split()) / 2
        return min(fits, key=lambda end: (abs(fits[end] - half), end), default=None)


def _flaw(reply: str, first: str) -> str | None:
    """Name what makes a reply no continuation."""
    said, seen = first_words(reply, OPENING), set(first_words(first, len(first)))
    opening = " ".join(said)
    if opening.startswith(META):
        return "talks_about_text"
    if said and sum(word in seen for word in said) > MOST_SHARED * len(said):
        return "repeats_text"
    return non_answer(reply)
