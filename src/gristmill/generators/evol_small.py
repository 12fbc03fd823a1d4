"""Evolution by a small model: the operators take turns, one strong model answers every round.

Source: Hui et al., "Smaller Language Models Are Better Instruction Evolvers", arXiv:2412.11231,
section 3.1 (Evol-Instruct scenario) and appendix. Their second scenario is the recipe `auto_if`,
the third `generators.auto_evol`; `scorers.ic_ifd` and `selectors.top_k` come after this and that.
Differs from the paper: our own prompts; instruction and input evolve as one text, where the code
carries the old input along; an evolution that fails by a rule leaves, and its parent goes on; a row
without an `index` takes its first operator by chance.
"""

from __future__ import annotations

from typing import ClassVar, Literal, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.leaks import markers
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.rewrites import REWRITE_FLAWS, rewrite_flaw
from gristmill.text.turns import question, user

DEPTH = """Rewrite an instruction so that good assistants find it a little harder. It must stay \
reasonable: people understand it and can answer it in writing. Code, tables and other data in it \
stay as they are. Add 10 to 20 words, no more. Write the rewritten instruction and nothing else: \
no heading, no remark, no answer. {how}

### Instruction to rewrite
{instruction}

### Rewritten instruction"""
BREADTH = """Invent an instruction in the field of a given one, about something that is asked more \
rarely. It is about as long and as hard, people understand it and can answer it in writing. Write \
the invented instruction and nothing else: no heading, no remark, no answer.

### Instruction to start from
{instruction}

### Invented instruction"""
IN_DEPTH = {
    "constraint": "The rewrite adds one more condition that an answer has to meet.",
    "deepen": "Where it asks about a matter, the rewrite asks about it more deeply and widely.",
    "concretize": "The rewrite names particular things in the place of general ones.",
    "reasoning": "Where a few steps of thought are enough, the rewrite asks for several, openly.",
}
TEMPLATES = {name: DEPTH.replace("{how}", how) for name, how in IN_DEPTH.items()}
TEMPLATES |= {"breadth": BREADTH}
"""Every prompt by its operator, before the row's text goes in."""
MARKERS = markers([DEPTH, BREADTH])
Operator = Literal["constraint", "deepen", "concretize", "reasoning", "breadth"]
FOUR: tuple[Operator, ...] = ("constraint", "deepen", "concretize", "reasoning")


class Seed(TypedDict):
    """What it reads; `index` is the row's number, where a published set is to be made again."""

    instruction: str
    input: NotRequired[str | None]
    index: NotRequired[int | None]


class Evolved(TypedDict):
    """What it writes."""

    instruction: str
    input: str | None
    output: str
    gen: Gen
    evolution: int
    """The round it was made in, from 1."""
    lineage: list[str]
    """Operators applied since the seed, in order."""
    original: str
    """What the seed asks, its input included."""
    evolver: str
    """The model that wrote the instruction."""


class EvolSmall(RowStage):
    """Make a row per round: what the last one that held became, with the responder's answer."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | REWRITE_FLAWS | NON_ANSWERS

    rounds: int = Field(default=3, ge=1)
    """Evolutions one after the other. The third makes most rows very hard, the paper says."""
    operators: tuple[Operator, ...] = Field(default=FOUR, min_length=1)
    """In this order, one per round, starting at the row's own; `breadth` may join them."""
    evolving: Sampling = Sampling(temperature=0.7, max_tokens=2048)
    answering: Sampling = Sampling(temperature=0.0, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """The small model evolves; one strong model answers, whichever evolver is compared."""
        return {"evolver": "generate", "responder": "generate"}

    async def __call__(self, row: Seed, ctx: Context) -> list[Evolved | Drop]:
        """Evolve, answer, and go on from what came out."""
        original = text = question(row["instruction"], row.get("input"))
        index, lineage, made = row.get("index"), list[str](), list[Evolved | Drop]()
        first = ctx.rng.randrange(len(self.operators)) if index is None else index
        for number in range(self.rounds):
            operator = self.operators[(first + number) % len(self.operators)]
            child = await self._evolve(text, operator, ctx)
            if isinstance(child, Drop):
                made.append(child)
                continue
            asked, evolver = child
            answer = await complete(ctx.llm("responder"), [user(asked)], self.answering)
            if not isinstance(answer, Drop) and (code := non_answer(answer.text)):
                answer = Drop(code, answer.text)
            if isinstance(answer, Drop):
                made.append(answer)
                continue
            text, lineage = asked, [*lineage, operator]
            made.append(
                Evolved(
                    instruction=text, input=None, output=answer.text.strip(), gen=answer.gen,
                    evolution=number + 1, lineage=lineage, original=original, evolver=evolver,
                )
            )  # fmt: skip
        return made

    async def _evolve(self, text: str, operator: str, ctx: Context) -> tuple[str, str] | Drop:
        """Return the evolved instruction and who wrote it."""
        prompt = TEMPLATES[operator].format(instruction=text)
        reply = await complete(ctx.llm("evolver"), [user(prompt)], self.evolving)
        if isinstance(reply, Drop):
            return reply
        if flaw := rewrite_flaw(child := reply.text.strip(), text, MARKERS):
            return Drop(*flaw)
        return child, reply.model
