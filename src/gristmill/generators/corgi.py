"""CORGI: of every concept questions on three levels of Bloom's taxonomy, in 19 kinds, answered.

Source: Lee et al., "Instruction Tuning with Human Curriculum", arXiv:2310.09518, section 3.2: only
the lower three levels, because the higher ones are a matter of opinion. `selectors.interleaved`
puts the rows in the order in which they are trained on; the trainer must keep it.
Differs from the paper: our own prompt and kinds of questions; the system text is drawn once per
concept, so that its requests begin alike. A row costs three calls in the recipe, not two, as
a judge also has to agree on the level.
"""

from __future__ import annotations

import asyncio
import re
from typing import ClassVar, Literal, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import detectors
from gristmill.text.headed import headed
from gristmill.text.leaks import heads, leak, markers
from gristmill.text.refusals import NON_ANSWERS, non_answer

PROMPT = """Write one question for students about the concept below, on the given level and of the \
given kind, and its answer. The question is complete in itself and names what it is about; the \
answer is correct and says why where that helps. Write the question behind "Question:" and the \
answer behind "Answer:", both at the beginning of a line.

### Concept
{concept}, as taught in {course} ({subject}, {education})

### Level
{bloom}

### Kind
{kind}"""
Bloom = Literal["remember", "understand", "apply"]
OBJECTIVES: dict[Bloom, str] = {
    "remember": "Remember: recall facts, terms and basic ideas as they were taught.",
    "understand": "Understand: explain, compare and interpret ideas in words of one's own.",
    "apply": "Apply: use what was learnt to solve a problem in a situation that is new.",
}
KINDS: dict[Bloom, tuple[str, ...]] = {
    "remember": (
        "It asks for a definition.", "It asks to list parts or types.", "It asks for examples.",
        "It asks for a rule, a law or a formula.", "It asks when, where or by whom.",
        "It has four options, of which one is right.",
    ),
    "understand": (
        "It asks to explain something to a beginner.", "It asks for a summary of how it works.",
        "It asks how two things differ that are easily mixed up.", "It asks why something matters.",
        "It asks for a comparison with everyday life.", "It asks what an example shows.",
        "It makes a wrong statement and asks to correct it.",
    ),
    "apply": (
        "It gives numbers or data and asks for a result.", "It tells a case and asks what follows.",
        "It asks for a plan to test or find out something.", "It asks to choose between two ways.",
        "It shows a use with a mistake and asks to find it.", "It asks to solve a practical task.",
    ),
}  # fmt: skip
"""The 19 kinds of questions, by their level."""
SYSTEMS = (
    "You write material for a course.",
    "You are a teacher who knows the subject well and explains it patiently.",
    "You are the author of a textbook. You are precise, and use words that students know.",
    "You prepare exercises for students who work alone: nothing may stay unclear.",
)
HEADS = tuple(re.compile(rf"(?im)^[ \t*#]*{name}[\s*]*:[\s*]*") for name in ("question", "answer"))
MARKERS, HEADINGS = markers([PROMPT]), heads([PROMPT])


class Concept(TypedDict):
    """What it reads: the instruction is the name of a concept."""

    instruction: str
    course: str
    subject: str
    education: str


class Question(TypedDict):
    """What it writes."""

    instruction: str
    input: str | None
    output: str
    gen: Gen
    concept: str
    bloom: Bloom


class Corgi(RowStage):
    """Make a row per kind of question."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | NON_ANSWERS | {"no_marker", "template_leak"}

    kinds: int = Field(default=7, ge=1)
    """Kinds of questions per level, at most; all of them make 19 rows."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=1024)

    def needs(self) -> dict[str, Op]:
        """One teacher writes question and answer at once."""
        return {"teacher": "generate"}

    async def __call__(self, row: Concept, ctx: Context) -> list[Question | Drop]:
        """Ask for all at once; what is particular to a request comes last."""
        system = ctx.rng.choice(SYSTEMS)
        every = [(bloom, kind) for bloom, kinds in KINDS.items() for kind in kinds[: self.kinds]]
        asks = (self._one(row, system, *one, ctx.branch(i)) for i, one in enumerate(every))
        return await asyncio.gather(*asks)

    async def _one(
        self, row: Concept, system: str, bloom: Bloom, kind: str, ctx: Context
    ) -> Question | Drop:
        prompt = PROMPT.format(
            concept=row["instruction"], course=row["course"], subject=row["subject"],
            education=row["education"], bloom=OBJECTIVES[bloom], kind=kind,
        )  # fmt: skip
        ask: list[Message] = [{"role": "system", "content": system}]
        ask.append({"role": "user", "content": prompt})
        reply = await complete(ctx.llm("teacher"), ask, self.sampling)
        if isinstance(reply, Drop):
            return reply
        if not (parts := headed(f"\n{reply.text}", *HEADS)):
            return Drop("no_marker", reply.text)
        asked, answer = (part.removesuffix("**").strip() for part in parts[1:])
        if not asked:
            return Drop("no_marker", reply.text)
        if mark := leak(asked, MARKERS) or leak(answer, HEADINGS):
            return Drop("template_leak", f"'{mark}' in: {reply.text}")
        if code := non_answer(answer) or ("refusal" if detectors.declines(answer) else None):
            return Drop(code, answer)
        return Question(
            instruction=asked, input=None, output=answer, gen=reply.gen,
            concept=row["instruction"], bloom=bloom,
        )  # fmt: skip
