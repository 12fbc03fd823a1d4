"""Auto-Evol: the model itself plans how to make an instruction harder, rewrites and reviews it.

Source: Hui et al., "Smaller Language Models Are Better Instruction Evolvers", arXiv:2412.11231,
section 3.3 (Auto-Evol-Instruct scenario), after Zeng et al., "Automatic Instruction Evolving for
Large Language Models", arXiv:2406.00770.
Differs from the papers: our own prompt. That the method learns from failed evolutions (2406.00770)
is `scorers.evolving_method` before it, with `optimizer: on`.
"""

from __future__ import annotations

from typing import ClassVar, NotRequired, TypedDict

from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.evolving_plans import METHOD, final_version, marks, request
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.rewrites import REWRITE_FLAWS, rewrite_flaw
from gristmill.text.turns import question, user

Seed = TypedDict(
    "Seed",
    {
        "instruction": str,
        "input": NotRequired[str | None],
        "scores.evolving_method.method": NotRequired[str | None],
    },
)
"""What it reads; without a method it evolves by ours."""


class Evolved(TypedDict):
    """What it writes."""

    instruction: str
    input: str | None
    output: str
    gen: Gen
    plan: str
    """What the model wrote before the final version."""
    original: str
    """What the seed asks, its input included."""
    evolver: str
    """The model that wrote the instruction."""


class AutoEvol(RowStage):
    """Evolve an instruction in one long reply, and have the final version answered."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | REWRITE_FLAWS | NON_ANSWERS | {"no_marker"}

    evolving: Sampling = Sampling(temperature=0.7, top_p=0.95, max_tokens=2048)
    answering: Sampling = Sampling(temperature=0.0, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """The small model evolves; one strong model answers."""
        return {"evolver": "generate", "responder": "generate"}

    async def __call__(self, row: Seed, ctx: Context) -> Evolved | Drop:
        """Take what stands behind the last step's heading."""
        original = question(row["instruction"], row.get("input"))
        method = row.get("scores.evolving_method.method") or METHOD
        asked = [user(request(method, original))]
        reply = await complete(ctx.llm("evolver"), asked, self.evolving)
        if isinstance(reply, Drop):
            return reply
        if not (found := final_version(reply.text)):
            return Drop("no_marker", reply.text)
        plan, text = found
        if flaw := rewrite_flaw(text, original, marks(method)):
            return Drop(*flaw)
        answer = await complete(ctx.llm("responder"), [user(text)], self.answering)
        if isinstance(answer, Drop):
            return answer
        if code := non_answer(answer.text):
            return Drop(code, answer.text)
        return Evolved(
            instruction=text, input=None, output=answer.text.strip(), gen=answer.gen,
            plan=plan, original=original, evolver=reply.model,
        )  # fmt: skip
