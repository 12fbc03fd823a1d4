"""URIAL: a base model answers instructions after rules and three constant worked examples.

Source: Lin et al., "The Unlocking Spell on Base LLMs: Rethinking Alignment via In-Context
Learning", arXiv:2312.01552, section 4; `Re-Align/URIAL` (Apache-2.0) for layout and stops.
Differs from the paper: our own rules and examples; of fences only the one that closes the answer
goes, so that code keeps its own; no repetition penalty; a system text is left out.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import ClassVar, NotRequired, TypedDict

from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import detectors
from gristmill.text.looping import loops
from gristmill.text.refusals import NON_ANSWERS
from gristmill.text.turns import WholeTurn, turns, whole

RULES = """# Rules

Below is a list of conversations between people and an assistant. Queries stand under "# Query:", \
answers under "# Answer:", both in fences.

The assistant is helpful and friendly: it answers at length where that serves, in clear parts, and \
says what it does not know. It is honest, and no answer harms anybody; what would do harm it \
declines, kindly and with a reason, and offers something else.
"""
QUERY, ANSWER, FENCE = "# Query:", "# Answer:", "```"
STOPS = (f"\n{QUERY}", "\n# User:", f"\n{ANSWER}")
FENCED = re.compile(r"(?m)^```")
EXAMPLES = Path(__file__).with_suffix(".examples.jsonl")


class Asked(TypedDict):
    """What it reads: one question, or the user's turns of a conversation."""

    instruction: NotRequired[str | None]
    input: NotRequired[str | None]
    messages: NotRequired[list[WholeTurn] | None]


class Answered(TypedDict):
    """What it writes."""

    output: str
    gen: Gen
    messages: list[WholeTurn] | None
    """The conversation, where there was more than one question."""


class Urial(RowStage):
    """Give a row the answers of an untuned model; all rows share the whole prompt but its end.

    Every question sees those before it with the model's own answers, under the same headings.
    """

    version: ClassVar[int] = 4
    codes: ClassVar[frozenset[str]] = REPLY_CODES | NON_ANSWERS | {"loop", "no_question"}

    keep_refusals: bool = False
    """Keep what the model declines: a worked example teaches it to."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """One base model, asked with plain text."""
        return {"generator": "generate"}

    async def __call__(self, row: Asked, ctx: Context) -> Answered | Drop:
        """Ask once per query; one with fences or headings of its own stays text in its fence."""
        prompt, talk = _shown(), list[WholeTurn]()
        found: Answered | Drop = Drop("no_question")
        for query in (turn["content"] for turn in turns(row) if turn["role"] == "user"):
            prompt += f"\n{_turn(QUERY, query)}\n"
            found = await self._answered(f"{prompt}{ANSWER}\n{FENCE}\n", ctx)
            if isinstance(found, Drop):
                return found
            prompt += _turn(ANSWER, found["output"])
            talk += [whole("user", query), whole("assistant", found["output"])]
            found["messages"] = talk if len(talk) > 2 else None
        return found

    async def _answered(self, prompt: str, ctx: Context) -> Answered | Drop:
        how = replace(self.sampling, stop=(*self.sampling.stop, *STOPS))
        reply = await complete(ctx.llm("generator"), prompt, how)
        if isinstance(reply, Drop):
            return reply
        text = answer(reply.text)
        if not any(sign.isalnum() for sign in text):
            return Drop("no_content", reply.text)
        if not self.keep_refusals and (found := detectors.declines(text)):
            return Drop("refusal", f"{found}: {text}")
        if found := loops(text):
            return Drop("loop", found)
        return Answered(output=text, gen=reply.gen, messages=None)


def answer(text: str) -> str:
    """Return a reply up to the fence that closes it, or to the next query: fences inside stay.

    Inside, a fence that opens a block has one that closes it; the first without a partner is ours.
    """
    text = f"\n{text}"
    for stop in STOPS:
        text = text.split(stop)[0]
    is_open = False
    for found in FENCED.finditer(text):
        rest = text[found.end() :].split("\n")[0].strip()
        if not is_open and not rest:
            return text[: found.start()].strip()
        is_open = not is_open
    return text.strip()


def _turn(heading: str, text: str) -> str:
    return f"{heading}\n{FENCE}\n{text}\n{FENCE}\n"


def _pairs() -> list[dict[str, str]]:
    return [json.loads(line) for line in EXAMPLES.read_text(encoding="utf-8").splitlines()]


@cache
def _shown() -> str:
    """Return what all prompts begin with."""
    turns = (f"\n{_turn(QUERY, p['query'])}\n{_turn(ANSWER, p['answer'])}" for p in _pairs())
    return RULES + "".join(turns)
