"""CodecLM, decode: metadata become basic instructions, and actions that would harden them.

Source: Wang et al., "CodecLM: Aligning Language Models with Tailored Synthetic Data",
arXiv:2404.05875, sections 3.1 (decode) and 3.2 (Self-Rubrics). `generators.codec_lm_metadata`
comes before, `generators.codec_lm_tailor` after it.
Differs from the paper: our own prompts.
"""

from __future__ import annotations

from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Completion, Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.leaks import heads, leak, markers
from gristmill.text.numbered import numbered, numbered_after
from gristmill.text.task_rules import TASK_FLAWS, task_flaw

DECODE = """Write instructions for a language model, each unlike the others, all for the use case \
and the abilities below. They must be reasonable, complete in themselves, and answerable in \
writing. Write them as a numbered list, without answers.

### Use case
{use_case}

### Abilities
{skills}

### How many
{n}

### Instructions"""
RUBRICS = """You judge how hard instructions are for a language model. For the use case and the \
abilities below write two numbered lists under the headings "Rubrics:" and "Actions:": 4 rubrics \
that tell hard instructions from easy ones in this field, and 4 actions, one for each rubric, that \
would make any instruction harder.

### Use case
{use_case}

### Abilities
{skills}

### Lists"""
MARKS = markers([DECODE]) - {"How many", "Instructions"} | heads([DECODE])
SEEN = ("attached", "in the image", "in the picture")
"""What no text model can be asked about."""
Entry = TypedDict(
    "Entry", {"meta.codec_lm_metadata.use_case": str, "meta.codec_lm_metadata.skills": list[str]}
)


class Base(TypedDict):
    """What it writes."""

    instruction: str
    gen: Gen
    actions: list[str]


class CodecLm(RowStage):
    """Make up to `n` basic instructions of an entry of metadata; they share its actions."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = (
        REPLY_CODES | TASK_FLAWS | {"no_list", "no_actions", "template_leak", "over_limit"}
    )

    n: int = Field(default=5, ge=1)
    """Instructions per entry."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """The strong model."""
        return {"strong": "generate"}

    async def __call__(self, row: Entry, ctx: Context) -> list[Base | Drop] | Drop:
        """Ask for the instructions, without examples to copy; then for rubrics and actions."""
        use_case = row["meta.codec_lm_metadata.use_case"]
        skills = ", ".join(row["meta.codec_lm_metadata.skills"])
        asked = DECODE.format(n=self.n, use_case=use_case, skills=skills)
        decoded = await self._ask(asked, ctx)
        if isinstance(decoded, Drop):
            return decoded
        if not (found := numbered(decoded.text)):
            return Drop("no_list", decoded.text)
        rubrics = await self._ask(RUBRICS.format(use_case=use_case, skills=skills), ctx)
        if isinstance(rubrics, Drop):
            return rubrics
        actions = numbered_after(rubrics.text, "actions") or numbered(rubrics.text)[-4:]
        if not actions:
            return Drop("no_actions", rubrics.text)
        surplus = [Drop("over_limit", f"n={self.n}: {text}") for text in found[self.n :]]
        return [*(_base(text, actions, decoded.gen) for text in found[: self.n]), *surplus]

    async def _ask(self, text: str, ctx: Context) -> Completion | Drop:
        return await complete(ctx.llm("strong"), [{"role": "user", "content": text}], self.sampling)


def _base(text: str, actions: list[str], gen: Gen) -> Base | Drop:
    if flaw := task_flaw(text, SEEN):
        return Drop(flaw[0], f"{flaw[1]}: {text}")
    if mark := leak(text, MARKS):
        return Drop("template_leak", f"'{mark}' in: {text}")
    return Base(instruction=text, gen=gen, actions=actions)
