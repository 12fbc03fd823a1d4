"""Evol-Instruct: rewrite an instruction into a harder one, several times.

Source: Xu et al., "WizardLM: Empowering Large Language Models to Follow Complex
Instructions", arXiv:2304.12244, section 3 and appendix A.
Differs from the paper: the judge prompt of the elimination step is left out; use
`filters.near_copy` for that.
"""

from __future__ import annotations

from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import Drop, RowStage

OPERATIONS = {
    "constrain": "Add one constraint or requirement.",
    "deepen": "If it asks about an issue, ask for more depth and breadth.",
    "concretize": "Replace a general concept with a more specific one.",
    "reason": "Ask explicitly for several steps of reasoning.",
}
PROMPT = """Rewrite the instruction below into a harder one that a person can still answer.
{operation} Use at most {words} words. Reply with the new instruction only.

{instruction}"""


class Seed(TypedDict):
    """What it reads."""

    instruction: str


class Evolved(TypedDict):
    """What it writes."""

    instruction: str
    operation: str
    depth: int
    gen: Gen


class EvolInstruct(RowStage):
    """Return one row per step, from the easiest to the hardest."""

    codes: ClassVar[frozenset[str]] = frozenset({"no_rewrite"})

    depth: int = Field(default=3, ge=1)
    """Rewrites applied one after the other."""
    max_added_words: int = Field(default=20, ge=1)
    """Words a single rewrite may add."""
    sampling: Sampling = Sampling(temperature=1.0, max_tokens=512)

    def needs(self) -> dict[str, Op]:
        """One role."""
        return {"generator": "generate"}

    async def __call__(self, row: Seed, ctx: Context) -> list[Evolved] | Drop:
        """Rewrite `depth` times; stop early when the model gives up."""
        llm = ctx.llm("generator")
        steps: list[Evolved] = []
        instruction = row["instruction"]
        for depth in range(1, self.depth + 1):
            name = ctx.rng.choice(sorted(OPERATIONS))
            words = len(instruction.split()) + self.max_added_words
            text = PROMPT.format(operation=OPERATIONS[name], words=words, instruction=instruction)
            ask: list[Message] = [{"role": "user", "content": text}]
            answer = await llm.generate(ask, self.sampling)
            if not answer.text.strip():
                break
            instruction = answer.text.strip()
            steps.append(
                {
                    "instruction": instruction,
                    "operation": name,
                    "depth": depth,
                    "gen": answer.gen,
                }
            )
        return steps or Drop("no_rewrite", f"depth {self.depth}, first answer empty")
