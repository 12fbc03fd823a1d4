"""Let a judge tag an instruction: how good, how hard, what kind of task; keep the good ones.

Source: Xu et al., "Magpie", arXiv:2406.08464, section 2 and appendix (attributes of a row, filter).
Differs from the paper: one call for three tags; our own prompt; safety, language and reward are
stages of their own.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NotRequired, TypedDict, get_args

from pydantic import BaseModel, field_validator

from gristmill.engines.requests import Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, fill
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.turns import question

Quality = Literal["very poor", "poor", "average", "good", "excellent"]
Difficulty = Literal["very easy", "easy", "medium", "hard", "very hard"]
Task = Literal[
    "information", "reasoning", "planning", "editing", "coding", "math", "data analysis",
    "creative writing", "role play", "advice", "brainstorming", "other",
]  # fmt: skip
PROMPT = f"""Judge a user's query; do not answer it. Reply with one line of JSON, of three keys:
"quality": how clear and specific it is: {", ".join(get_args(Quality))}
"difficulty": how much knowledge it takes: {", ".join(get_args(Difficulty))}
"task": the kind it is first of all: {", ".join(get_args(Task))}

### Query
{{query}}

### JSON"""


class Asked(TypedDict):
    """What it reads."""

    instruction: str
    input: NotRequired[str | None]


class Tags(TypedDict):
    """What it writes."""

    quality: Quality
    difficulty: Difficulty
    task: Task


class Reply(BaseModel):
    """What the judge writes, in any case."""

    quality: Quality
    difficulty: Difficulty
    task: Task

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, word: Any) -> Any:
        return word.strip().lower() if isinstance(word, str) else word


class MagpieTags(RowStage):
    """Tag a row; one whose query is below `min_quality` leaves with its tags as the detail."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"low_quality"}

    min_quality: Quality = "good"
    """The least that stays; the paper's example keeps good and excellent."""

    def needs(self) -> dict[str, Op]:
        """One judge."""
        return {"judge": "generate"}

    async def __call__(self, row: Asked, ctx: Context) -> Tags | Drop:
        """Ask; a reply that lacks a tag, or has another word for it, is asked for once more."""
        query = question(row["instruction"], row.get("input"))
        ask: list[Message] = [{"role": "user", "content": PROMPT.format(query=query)}]
        found = await fill(ctx.llm("judge"), ask, Sampling(0.0, max_tokens=128), Reply)
        if isinstance(found, Drop):
            return found
        said = found[0]
        levels = get_args(Quality)
        if levels.index(said.quality) < levels.index(self.min_quality):
            return Drop("low_quality", f"{said.quality}, {said.difficulty}, {said.task}")
        return {"quality": said.quality, "difficulty": said.difficulty, "task": said.task}
