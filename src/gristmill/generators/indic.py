"""IndicLLMSuite's Wiki-Chat: a user and an assistant, both models, talk about a passage.

Source: Khan et al., "IndicLLMSuite: A Blueprint for Creating Pre-training and Fine-Tuning Datasets
for Indian Languages", arXiv:2403.06350, section 4; `AI4Bharat/IndicLLMSuite` (MIT).
`generators.indic_conv` is its Wiki-Conv, `generators.indic_toxic` builds both toxic sets; recipe
`indic_translated` translates and romanises, `indic_wordnet` has its rows of a dictionary.
Differs from the paper: the conversation is in the passage's language from the start; a user who
repeats or takes leave ends it. Its corpus for pre-training holds no instructions and is not built.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.leaks import leak, markers
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.turns import WholeTurn, whole
from gristmill.text.words import words

CHAT = """A user and an assistant talk about what a passage says, in the language of the passage. \
The user is curious and asks one thing at a time; the assistant answers in a few sentences, from \
the passage, and says so where it does not know. Nobody mentions a passage.

### Text
{passage}

### Conversation so far
{said}

### Write now
{part}"""
PARTS = {
    "user": "The next turn of the user alone, without a name in front. It does not say thanks.",
    "assistant": "The next turn of the assistant alone, without a name in front.",
}
MARKERS = markers([CHAT]) - {"Text"}
NAME = re.compile(r"(?i)^\W*(?:user|assistant)\s*[*_]*:[*_]*\s*")
LEAVE = re.compile(r"(?i)^\W*(?:thank(?:s| you)|bye|goodbye|ok(?:ay)?)\b[^?]{0,60}$")
"""A user who only takes leave, in the one language whose words are sure here."""
Side = Literal["user", "assistant"]


class Passage(TypedDict):
    """What it reads."""

    passage: str
    lang: NotRequired[str | None]


class Chat(TypedDict):
    """What it writes."""

    instruction: str
    input: str | None
    output: str
    messages: list[WholeTurn]
    gen: Gen
    ended: str
    """`full`, or why the user had no more to ask: `leave` or `repeat`."""


class Indic(RowStage):
    """Make one conversation of a passage, turn by turn; it ends with the assistant."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"short_chat", "template_leak", *NON_ANSWERS}

    pairs: int = Field(default=3, ge=1)
    """Questions with their answers."""
    min_pairs: int = Field(default=2, ge=1)
    """Fewer, and the conversation leaves. Our choice."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=512)

    def needs(self) -> dict[str, Op]:
        """Two models, or one for both."""
        return {"user": "generate", "assistant": "generate"}

    async def __call__(self, row: Passage, ctx: Context) -> list[Chat] | Drop:
        """Ask one after the other: every turn needs the one before."""
        turns, asked, ended = list[WholeTurn](), list[list[str]](), "full"
        gen: Gen | None = None
        for _ in range(self.pairs):
            question = await self._turn("user", row["passage"], turns, ctx)
            if isinstance(question, Drop):
                return question
            text = question[0]
            if LEAVE.match(text) or words(text) in asked:
                ended = "leave" if LEAVE.match(text) else "repeat"
                break
            asked.append(words(text))
            turns.append(whole("user", text))
            answer = await self._turn("assistant", row["passage"], turns, ctx)
            if isinstance(answer, Drop):
                return answer
            turns.append(whole("assistant", answer[0]))
            gen = answer[1]
        if gen is None or len(asked) < self.min_pairs:
            return Drop("short_chat", f"{len(asked)} questions: {ended}")
        first, last = turns[0]["content"], turns[-1]["content"]
        return [
            Chat(instruction=first, input=None, output=last, messages=turns, gen=gen, ended=ended)
        ]

    async def _turn(
        self, side: Side, passage: str, turns: list[WholeTurn], ctx: Context
    ) -> tuple[str, Gen] | Drop:
        """Passage and conversation come first: both sides share all but the last line."""
        said = "\n".join(f"{turn['role']}: {turn['content']}" for turn in turns) or "Nothing."
        prompt = CHAT.format(passage=passage, said=said, part=PARTS[side])
        ask: list[Message] = [{"role": "user", "content": prompt}]
        reply = await complete(ctx.llm(side), ask, self.sampling)
        if isinstance(reply, Drop):
            return reply
        text = NAME.sub("", reply.text.strip(), count=1)
        if side == "assistant" and (code := non_answer(text)):
            return Drop(code, reply.text)
        if mark := leak(text, MARKERS):
            return Drop("template_leak", f"'{mark}' in: {text}")
        return text, reply.gen
