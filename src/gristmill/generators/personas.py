"""Personas: write what a person would ask, or a problem that fits them, and answer it.

Source: Ge et al., "Scaling Synthetic Data Creation with 1,000,000,000 Personas", arXiv:2406.20094,
section 4; `tencent-ailab/persona-hub` (code MIT) for labels and products.
Differs from the paper: our own prompts, the persona at their end, so that rows share the rules; of
its products the three that are questions, not its texts of knowledge, characters and tools; what
quotes its persona leaves. Personas are given, or come from `generators.persona_hub`. People alike
in meaning are taken once; no further limit is set per occupation, and as each is asked once, no
round can grow like the one before.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal, NamedTuple, TypedDict

from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import detectors
from gristmill.text.leaks import heads, leak
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.turns import user
from gristmill.text.words import words


class Product(NamedTuple):
    """What to write for a persona, and the label that the reply opens with."""

    label: str
    rules: str


INSTRUCTION = Product(
    "User prompt:",
    """Guess a prompt that the person below would send to an assistant: one specific thing they \
want to know or have written, with the details that only somebody in their place would give. \
Write in their voice; do not describe the person. Begin your reply with "User prompt:", and write \
nothing after the prompt.""",
)
MATH = Product(
    "Math problem:",
    """Write a hard math problem that comes up in the life or work of the person below. It has at \
most two questions, all the numbers that a solution needs, and one right answer. Do not solve it, \
and give no hint. Begin your reply with "Math problem:", and write nothing after the problem.""",
)
LOGIC = Product(
    "Logic problem:",
    """Write a logic problem set in the world of the person below: a few facts, from which one \
answer follows for anybody who reasons carefully. Do not solve it, and give no hint. Begin your \
reply with "Logic problem:", and write nothing after the problem.""",
)
PRODUCTS = {"instruction": INSTRUCTION, "math": MATH, "logic": LOGIC}
ENDING = "\n\n### Person\n{persona}\n\n### Reply"
MARKS = heads([ENDING])
SOLVED = re.compile(r"(?im)^[^\w\n]*(?:solution|answer|hint)[^\w\n]*:|\bthe (?:final )?answer is\b")
RUN = 6
"""Words in a row that a prompt may not share with its persona: a role and its article are fewer."""


class Persona(TypedDict):
    """What it reads: `instruction` is one sentence about a person."""

    instruction: str


class Asked(TypedDict):
    """What it writes."""

    instruction: str
    output: str
    gen: Gen
    persona: str


class Personas(RowStage):
    """Turn a persona into one prompt of the product, and answer it in a second call."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = (
        REPLY_CODES
        | NON_ANSWERS
        | {"no_marker", "contains_answer", "quotes_persona", "template_leak"}
    )

    product: Literal["instruction", "math", "logic"] = "instruction"
    """What to write for a persona; for several, use the stage several times."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=2048)
    """For both calls."""

    def needs(self) -> dict[str, Op]:
        """One role asks and answers."""
        return {"generator": "generate"}

    async def __call__(self, row: Persona, ctx: Context) -> Asked | Drop:
        """Ask for the prompt, then for its answer, which sees nothing of the persona."""
        llm, persona = ctx.llm("generator"), row["instruction"].strip()
        asking = PRODUCTS[self.product].rules + ENDING.format(persona=persona)
        asked = await complete(llm, [user(asking)], self.sampling)
        if isinstance(asked, Drop):
            return asked
        text = self.prompt(asked.text, persona)
        if isinstance(text, Drop):
            return text
        reply = await complete(llm, [user(text)], self.sampling)
        if isinstance(reply, Drop):
            return reply
        if code := non_answer(reply.text):
            return Drop(code, reply.text)
        return Asked(instruction=text, output=reply.text.strip(), gen=reply.gen, persona=persona)

    def prompt(self, reply: str, persona: str) -> str | Drop:
        """Return what stands behind the label of a reply."""
        label = PRODUCTS[self.product].label
        opening = re.match(rf"[\s*#]*{re.escape(label)}[\s*]*", reply, re.IGNORECASE)
        if not opening:
            return Drop("refusal" if detectors.declines(reply) else "no_marker", reply)
        text = reply[opening.end() :].strip()
        if not text:
            return Drop("empty", reply)
        if mark := leak(text, MARKS):
            return Drop("template_leak", f"{mark}: {text}")
        if self.product != "instruction" and (found := SOLVED.search(text)):
            return Drop("contains_answer", f"'{found[0]}' in: {text}")
        if shared := _runs(text) & _runs(persona):
            return Drop("quotes_persona", f"'{min(shared)}' in: {text}")
        return text


def _runs(text: str) -> set[str]:
    said = words(text)
    return {" ".join(said[i : i + RUN]) for i in range(len(said) - RUN + 1)}
