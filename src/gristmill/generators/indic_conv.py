"""IndicLLMSuite's Wiki-Conv: one model writes a whole short conversation, grounded in a passage.

Source: Khan et al., "IndicLLMSuite: A Blueprint for Creating Pre-training and Fine-Tuning Datasets
for Indian Languages", arXiv:2403.06350, section 4; `AI4Bharat/IndicLLMSuite` (MIT).
`generators.indic` is its Wiki-Chat, in which two models talk turn by turn.
Differs from the paper: our own prompt; the conversation is in the passage's language from the
start; numbers and addresses of an answer must stand in the passage or its table of facts.
"""

from __future__ import annotations

import re
from itertools import cycle
from typing import ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.fidelity import lost_in_translation
from gristmill.text.leaks import heads, leak
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.turns import WholeTurn, user, whole

WRITE = """Write a short conversation between a user and an assistant about what the passage and \
the facts below say, in the language of the passage. The user is curious, asks one thing at a time \
and says no thanks; the assistant answers in a few sentences, from the passage and the facts \
alone. Nobody mentions that there is a passage. Begin every turn on a line of its own with "User:" \
or "Assistant:"; the user begins, the assistant ends. Write nothing else.

### Passage
{passage}

### Facts
{facts}

### Conversation of {pairs} questions"""
MARKS = heads([WRITE])
TURN = re.compile(r"(?im)^[ \t*#]*(user|assistant)[ \t*]*:[ \t*]*")
SIDES = ("user", "assistant")


class Passage(TypedDict):
    """What it reads."""

    passage: str
    infobox: NotRequired[str | None]
    """What an article's box has beside it, a line per fact."""


class Talk(TypedDict):
    """What it writes."""

    instruction: str
    input: str | None
    output: str
    messages: list[WholeTurn]
    gen: Gen


class IndicConv(RowStage):
    """Make one conversation of a passage in one call."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | NON_ANSWERS | {
        "no_turns", "repeated", "template_leak", "ungrounded"
    }  # fmt: skip

    pairs: int = Field(default=3, ge=1)
    """Questions that are asked for. Our choice; any number of them is taken."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=1536)

    def needs(self) -> dict[str, Op]:
        """One strong chat model is both."""
        return {"generator": "generate"}

    async def __call__(self, row: Passage, ctx: Context) -> list[Talk] | Drop:
        """Ask once; a reply that was cut has no last answer."""
        facts = (row.get("infobox") or "").strip() or "(none)"
        prompt = WRITE.format(passage=row["passage"], facts=facts, pairs=self.pairs)
        reply = await complete(ctx.llm("generator"), [user(prompt)], self.sampling)
        if isinstance(reply, Drop):
            return reply
        if (said := turns_in(reply.text)) is None:
            return Drop("no_turns", reply.text)
        questions, answers = said[::2], said[1::2]
        if len({question.casefold() for question in questions}) < len(questions):
            return Drop("repeated", reply.text)
        if mark := next((mark for text in said if (mark := leak(text, MARKS))), None):
            return Drop("template_leak", f"'{mark}' in: {reply.text}")
        if code := next((code for text in answers if (code := non_answer(text))), None):
            return Drop(code, reply.text)
        if odd := lost_in_translation("\n".join(answers), f"{row['passage']}\n{facts}"):
            return Drop("ungrounded", f"{odd} in: {reply.text}")
        messages = [
            whole("user" if i % 2 == 0 else "assistant", text) for i, text in enumerate(said)
        ]
        return [
            Talk(instruction=said[0], input=None, output=said[-1], messages=messages, gen=reply.gen)
        ]


def turns_in(text: str) -> list[str] | None:
    r"""Return what is said, a user's turn first, an assistant's last; None where it is not so.

    >>> turns_in("User: Why?\nAssistant: Roots\nfall.")
    ['Why?', 'Roots\nfall.']
    >>> turns_in("Assistant: Why?\nUser: Roots fall.")
    """
    _, *found = TURN.split(text)
    sides, said = [side.casefold() for side in found[::2]], [one.strip() for one in found[1::2]]
    in_turn = all(side == wanted for side, wanted in zip(sides, cycle(SIDES), strict=False))
    return said if said and in_turn and len(said) % 2 == 0 and all(said) else None
