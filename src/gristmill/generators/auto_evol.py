"""Auto-Evol: the model itself plans how to make an instruction harder, rewrites and reviews it.

Source: Hui et al., "Smaller Language Models Are Better Instruction Evolvers", arXiv:2412.11231,
section 3.3 (Auto-Evol-Instruct scenario), after Zeng et al., "Automatic Instruction Evolving for
Large Language Models", arXiv:2406.00770.
Differs from the papers: our own prompt; the method of evolving is not optimised from failed
evolutions (2406.00770, section 3.2).
"""

from __future__ import annotations

import re
from typing import ClassVar, NotRequired, TypedDict

from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.leaks import markers
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.rewrites import REWRITE_FLAWS, rewrite_flaw
from gristmill.text.turns import question, user

PROMPT = """Make an instruction harder, in four steps. Write each step below its heading, the \
headings exactly as they stand here.

### Step 1: Methods
List ways in which this instruction could be made harder, without changing the language it is in.
### Step 2: Plan
Say which of these ways you combine, and how.
### Step 3: Rewrite
Write the instruction as planned: 10 to 20 words longer at most, and answerable in writing.
### Step 4: Final version
Review the rewrite, repair what is not reasonable, and write the final instruction alone.

### Instruction
{instruction}"""
LAST = re.compile(r"(?im)^[ \t#*]*(?:step 4[ \t:.*-]*)?final version[ \t:*]*")
MARKERS = markers([PROMPT])


class Seed(TypedDict):
    """What it reads."""

    instruction: str
    input: NotRequired[str | None]


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

    codes: ClassVar[frozenset[str]] = REPLY_CODES | REWRITE_FLAWS | NON_ANSWERS | {"no_marker"}

    evolving: Sampling = Sampling(temperature=0.7, top_p=0.95, max_tokens=2048)
    answering: Sampling = Sampling(temperature=0.0, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """The small model evolves; one strong model answers."""
        return {"evolver": "generate", "responder": "generate"}

    async def __call__(self, row: Seed, ctx: Context) -> Evolved | Drop:
        """Take what stands behind the last step's heading."""
        original = question(row["instruction"], row.get("input"))
        asked = [user(PROMPT.format(instruction=original))]
        reply = await complete(ctx.llm("evolver"), asked, self.evolving)
        if isinstance(reply, Drop):
            return reply
        *before, text = LAST.split(reply.text)
        if not before or not (text := text.strip()):
            return Drop("no_marker", reply.text)
        if flaw := rewrite_flaw(text, original, MARKERS):
            return Drop(*flaw)
        answer = await complete(ctx.llm("responder"), [user(text)], self.answering)
        if isinstance(answer, Drop):
            return answer
        if code := non_answer(answer.text):
            return Drop(code, answer.text)
        return Evolved(
            instruction=text, input=None, output=answer.text.strip(), gen=answer.gen,
            plan="".join(before).strip(), original=original, evolver=reply.model,
        )  # fmt: skip
