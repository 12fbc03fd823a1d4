"""Let a judge tag an instruction: how good, how hard, what kind of task; keep the good ones.

Source: Xu et al., "Magpie", arXiv:2406.08464, section 2 and appendix (attributes of a row, filter).
Differs from the paper: one call for three tags; our own prompt; safety, language and reward are
stages of their own.
"""

from __future__ import annotations

import json
import re
from typing import ClassVar, Literal, NotRequired, TypedDict, cast, get_args

from gristmill.engines.requests import Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
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
OBJECT = re.compile(r"\{[^{}]*\}")


class Asked(TypedDict):
    """What it reads."""

    instruction: str
    input: NotRequired[str | None]


class Tags(TypedDict):
    """What it writes."""

    quality: Quality
    difficulty: Difficulty
    task: Task


class MagpieTags(RowStage):
    """Tag a row; one whose query is below `min_quality` leaves with its tags as the detail."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"low_quality"}

    min_quality: Quality = "good"
    """The least that stays; the paper's example keeps good and excellent."""

    def needs(self) -> dict[str, Op]:
        """One judge."""
        return {"judge": "generate"}

    async def __call__(self, row: Asked, ctx: Context) -> Tags | Drop:
        """Ask once; a reply that lacks a tag, or has another word for it, is no judgement."""
        query = question(row["instruction"], row.get("input"))
        ask: list[Message] = [{"role": "user", "content": PROMPT.format(query=query)}]
        reply = await complete(ctx.llm("judge"), ask, Sampling(temperature=0.0, max_tokens=128))
        if isinstance(reply, Drop):
            return reply
        if (tags := parse(reply.text)) is None:
            return Drop("unparsed_judge", reply.text)
        levels = get_args(Quality)
        if levels.index(tags["quality"]) < levels.index(self.min_quality):
            return Drop("low_quality", f"{tags['quality']}, {tags['difficulty']}, {tags['task']}")
        return tags


def parse(text: str) -> Tags | None:
    """Return the tags of the first JSON object in a reply, in any case; None if one is missing."""
    try:
        said = json.loads((OBJECT.search(text) or [""])[0])
    except ValueError:
        return None
    words = {key: str(value).strip().lower() for key, value in said.items()}
    known = {"quality": Quality, "difficulty": Difficulty, "task": Task}
    if any(words.get(key) not in get_args(of) for key, of in known.items()):
        return None
    return cast("Tags", {key: words[key] for key in known})
