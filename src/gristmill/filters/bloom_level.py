"""Drop questions that a judge finds on another level of Bloom's taxonomy than they were asked for.

Source: Lee et al., "Instruction Tuning with Human Curriculum", arXiv:2310.09518, section 3.2: the
lower three levels. Rows come from `generators.corgi`.
Differs from the paper: there the level is what the writer was told; here a judge has to agree,
because questions that should apply something often just ask to recall it.
"""

from __future__ import annotations

from typing import ClassVar, Literal, TypedDict, get_args

from gristmill.engines.requests import Op
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, judge
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.turns import user

PROMPT = """What must students do to answer a question? Reply with one word.
remember: recall facts, terms, rules or examples as they were taught.
understand: explain, compare, interpret or correct in words of their own.
apply: work out something that is new to them, in a case, a plan or a problem.

### Question
{question}

### Remember, understand or apply"""
Bloom = Literal["remember", "understand", "apply"]

Asked = TypedDict("Asked", {"instruction": str, "meta.corgi.bloom": str})
"""What it reads."""


class Judged(TypedDict):
    """What it writes."""

    level: Bloom
    """What the judge says, which is also what was asked for."""


class BloomLevel(RowStage):
    """Ask a judge, who is not told the level that was wanted; a row stays if they agree."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"other_level"}

    def needs(self) -> dict[str, Op]:
        """The judge writes a word."""
        return {"judge": "generate"}

    async def __call__(self, row: Asked, ctx: Context) -> Judged | Drop:
        """Ask once, greedily."""
        ask = [user(PROMPT.format(question=row["instruction"]))]
        said = await judge(ctx.llm("judge"), ask, get_args(Bloom))
        if isinstance(said, Drop):
            return said
        level: Bloom = next(one for one in get_args(Bloom) if one == said)
        if level != (wanted := row["meta.corgi.bloom"]):
            return Drop("other_level", f"{level}, not {wanted}: {row['instruction']}")
        return {"level": level}
