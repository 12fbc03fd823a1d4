"""MulDimIF: add constraints of one category after another, until an instruction has its level.

Source: Ye et al., "A Multi-Dimensional Constraint Framework for Evaluating and Improving
Instruction Following in Large Language Models", arXiv:2505.07591, section 3 (expansion and conflict
detection); `Junjie-Ye/MulDimIF` (Apache-2.0).
Differs from the paper: our own prompts; constraints are parameters of a type that a program checks,
not sentences; the check says one word. `mul_dim_if_patterns` rewrites what this one makes,
`verifiers.constraints` writes its reward.
"""

from __future__ import annotations

from typing import ClassVar, Literal, NotRequired, TypedDict

from pydantic import BaseModel, Field

from gristmill.constraints.catalogue import constraint
from gristmill.constraints.mul_dim import SUBCATEGORIES
from gristmill.constraints.wanted import PLACES, Wanted, kinds, shape, told, wanted
from gristmill.engines.handles import Llm
from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.errors import InputError
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import fill, judge
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.turns import question

EXPAND = """You make instructions more demanding. Add as many constraints as are asked for, of the \
kinds below alone, concrete ones, none against those that the instruction has. Then rewrite the \
instruction so that it states every constraint, old and new. Reply with JSON alone, such as \
{{"constraints": [{{"kind": "...", "params": {{"op": "...", ...}}}}], "instruction": "..."}}: \
"params" has the op, and what stands in braces in its sentence; keywords are a list of words.

### Kinds
{kinds}

### To add
{count}

### Constraints so far
{had}

### Instruction
{instruction}

### JSON"""
CHECK = """Look at an instruction and the list of constraints that it is meant to have. Reply with \
one word: conflict, if no answer can meet all constraints; incomplete, if the instruction does not \
state every one of them; good otherwise.

### Constraints
{had}

### Instruction
{instruction}

### Conflict, incomplete or good"""


class Seed(TypedDict):
    """What it reads."""

    instruction: str
    input: NotRequired[str | None]


class Constrained(TypedDict):
    """What it writes; the constraints are of `level` categories."""

    instruction: str
    input: str | None
    constraints: list[Wanted]
    level: int
    gen: Gen


class New(BaseModel):
    """A constraint as the model writes it."""

    kind: str
    params: dict[str, str | int | list[str]]


class Expanded(BaseModel):
    """What the model makes of an instruction."""

    constraints: list[New]
    instruction: str = Field(pattern=r"\S")


class MulDimIf(RowStage):
    """Make an instruction with constraints of one without any."""

    codes: ClassVar[frozenset[str]] = frozenset({"not_expanded"})

    levels: tuple[Literal[1, 2, 3, 4], ...] = Field(default=(1, 2, 3, 4), min_length=1)
    """Drawn from uniformly: the number of categories."""
    retries: int = Field(default=4, ge=0)
    """Expansions that may fail; after each a category is drawn again. Our choice."""
    sampling: Sampling = Sampling(temperature=0.7)

    def needs(self) -> dict[str, Op]:
        """One role expands and checks."""
        return {"generator": "generate"}

    async def __call__(self, row: Seed, ctx: Context) -> Constrained | Drop:
        """Expand by a category that is not there yet, check, and go on until the level."""
        level, failures = ctx.rng.choice(self.levels), 0
        text, had, gen = question(row["instruction"], row.get("input")), list[Wanted](), None
        while gen is None or len({category for category, _ in shape(had)}) < level:
            category = ctx.rng.choice(sorted({*SUBCATEGORIES} - {used for used, _ in shape(had)}))
            count = 1 if category == "Language" else ctx.rng.choice((1, 2))
            made = await self._expand(text, had, category, count, ctx.llm("generator"))
            if not isinstance(made, Drop):
                text, had, gen = made
            elif (failures := failures + 1) > self.retries:
                return Drop("not_expanded", f"{category}: {made.code}: {made.detail}")
        return Constrained(instruction=text, input=None, constraints=had, level=level, gen=gen)

    async def _expand(
        self, text: str, had: list[Wanted], category: str, count: int, llm: Llm
    ) -> tuple[str, list[Wanted], Gen] | Drop:
        prompt = EXPAND.format(kinds=kinds(category), count=count, had=told(had), instruction=text)
        made = await fill(llm, _said(prompt), self.sampling, Expanded)
        if isinstance(made, Drop):
            return made
        new, reply = made
        try:
            more = [constraint(one.kind, one.params) for one in new.constraints]
        except InputError as error:
            return Drop("no_constraint", str(error))
        if [PLACES.get(one.cid, ("",))[0] for one in more] != [category] * count:
            return Drop("no_constraint", f"not {count} of {category}: {[x.cid for x in more]}")
        have = [*had, *map(wanted, more)]
        asked = CHECK.format(had=told(have), instruction=new.instruction)
        said = await judge(llm, _said(asked), {"conflict", "incomplete", "good"})
        if said != "good":
            return said if isinstance(said, Drop) else Drop(said, new.instruction)
        return new.instruction.strip(), have, reply.gen


def _said(prompt: str) -> list[Message]:
    return [{"role": "user", "content": prompt}]
