"""Magpie: an aligned model that is given nothing but the head of a user's turn writes the turn.

Source: Xu et al., "Magpie: Alignment Data Synthesis from Scratch by Prompting Aligned LLMs with
Nothing", arXiv:2406.08464, section 2; `magpie-align/magpie` (code MIT) for stops and cleaning.
Differs from the paper: first-token logits are as they come, Markdown is not kept from beginning a
question; one that ends with a colon, or is an answer, leaves before it is answered. A row costs
four calls as shipped: one tags it three ways, and safety, reward and language are stages to add
(the recipe says how). Pairs for preferences are the recipe `magpie_pairs`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import ClassVar, Literal, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import detectors
from gristmill.text.pre_query import TEMPLATES, cleaned
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.turns import WholeTurn


class Seed(TypedDict):
    """What it reads: what a system says, to steer the questions; none for a model's own mix."""

    system: NotRequired[str | None]


class Asked(TypedDict):
    """What it writes; `messages` only where there is more than one exchange."""

    instruction: str
    output: str
    messages: list[WholeTurn] | None
    gen: Gen | None
    pre_query_template: str


class Magpie(RowStage):
    """Make `n` rows of a row: each a question that the model asked itself, with its answer."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | NON_ANSWERS | {"answered", "ends_with_colon"}

    template: Literal["chatml", "llama3", "demo"] = "chatml"
    """The model's own; a wrong one gives answers instead of questions."""
    n: int = Field(default=200, ge=1)
    """Questions per row, all samples of one prompt."""
    turns: int = Field(default=1, ge=1)
    """Exchanges; a further question follows from the conversation so far."""
    early_stop: bool = True
    """End a question at its first line, since some models go on to answer it; not for code."""
    asking: Sampling = Sampling(temperature=1.0, top_p=1.0, max_tokens=2048)
    answering: Sampling = Sampling(temperature=0.0, max_tokens=4096)

    def needs(self) -> dict[str, Op]:
        """One aligned model asks and answers; a server must take plain text as well."""
        return {"generator": "generate"}

    async def __call__(self, row: Seed, ctx: Context) -> list[Asked | Drop]:
        """Ask `n` times at once."""
        system = row.get("system") or ""
        return await asyncio.gather(*(self._one(system, ctx.branch(i)) for i in range(self.n)))

    async def _one(self, system: str, ctx: Context) -> Asked | Drop:
        template, llm = TEMPLATES[self.template], ctx.llm("generator")
        said, gen = list[Message](), None
        told: list[Message] = [{"role": "system", "content": system}] if system.strip() else []
        stop = (*self.asking.stop, *template.controls, *(["\n"] if self.early_stop else []))
        how = replace(self.asking, stop=stop)
        for _ in range(self.turns):
            asked = await complete(llm, template.open([*told, *said]), how)
            if isinstance(asked, Drop):
                return asked
            question = cleaned(asked.text, template.controls)
            if code := _flaw(question):
                return Drop(code, asked.text)
            said = [*said, {"role": "user", "content": question}]
            reply = await complete(llm, said, self.answering)
            if isinstance(reply, Drop):
                return reply
            if code := non_answer(reply.text):
                return Drop(code, reply.text)
            gen = reply.gen
            said = [*said, {"role": "assistant", "content": reply.text.strip()}]
        whole = [WholeTurn(role=t["role"], content=t["content"], extra=None) for t in said]
        return Asked(
            instruction=said[0]["content"],
            output=said[-1]["content"],
            messages=whole if self.turns > 1 else None,
            gen=gen,
            pre_query_template=template.open(told),
        )


def _flaw(question: str) -> str | None:
    flaws = {
        "empty": not question,
        "refusal": detectors.declines(question),
        "answered": detectors.answers(question),
        "ends_with_colon": question.endswith(":"),
    }
    return next((code for code, is_so in flaws.items() if is_so), None)
