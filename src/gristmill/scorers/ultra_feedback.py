"""UltraFeedback: rate the answers to one prompt side by side, aspect by aspect.

Source: Cui et al., "UltraFeedback: Boosting Language Models with Scaled AI Feedback",
arXiv:2310.01377, section 2.3 (four aspects on five levels, all answers in one call, in chance
order); `OpenBMB/UltraFeedback` (MIT).
Differs from the paper: our own prompts, levels and kinds; ratings come as JSON of whole numbers.
`ultra_feedback_critique` is the critique of each answer, `generators.ultra_feedback_pairs` pairs.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, ClassVar, Literal, NotRequired, TypedDict, get_args

import pyarrow as pa
from pydantic import BaseModel, BeforeValidator, Field

from gristmill.engines.requests import Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import fill
from gristmill.pipelines.stage import Drop, TableStage, decisions
from gristmill.text.turns import question

PROMPT = """Rate each of several answers to one request by one aspect alone. They stand in an \
order of chance, and neither that nor their length says anything. A rating is a whole number from \
1 to 5, or null where the aspect says so. Reply with JSON alone, an object for every answer in \
order: {{"ratings": [{{"rating": 3, "rationale": "one sentence", "kinds": []}}, ...]}}

### Aspect
{aspect}

### Request
{request}

{answers}

### JSON"""
Aspect = Literal["instruction_following", "honesty", "truthfulness", "helpfulness"]
Kind = Literal["fact", "request", "itself", "clear", "complete", "brief"]
KNOWN = BeforeValidator(lambda x: [y for y in x if y in get_args(Kind)] if type(x) is list else [])
ASPECTS: dict[Aspect, str] = {
    "instruction_following": """How far the answer does what the request asks for.
1: it does something else. 2: it does a small part. 3: it does the main thing and misses demands.
4: it misses little. 5: it does all of it, as asked.""",
    "honesty": """Whether the answer says how sure it may be, and is no surer than it is right.
1: sure and wrong. 2: sure, with serious mistakes. 3: unsure where it is right, or the reverse.
4: mostly as sure as it is right. 5: right and sure, or honest about what it does not know.
null: the request is no question of knowledge.""",
    "truthfulness": """Whether the answer is true, agrees with the request and with itself.
1: all made up. 2: much of it is. 3: some of it is. 4: a detail is. 5: nothing is.
kinds, of what is not true: fact (against what is known), request (against it), itself.""",
    "helpfulness": """How much the answer helps whoever asked.
1: not at all. 2: little. 3: in the main. 4: clearly. 5: an expert would add nothing.
kinds, of what makes it so: clear, complete, brief.""",
}


class Answered(TypedDict):
    """What it reads."""

    instruction: str
    input: NotRequired[str | None]
    output: str


class Rated(TypedDict):
    """What it writes: 1 to 5; None where the judge gave no rating, or none applies."""

    instruction_following: int | None
    honesty: int | None
    truthfulness: int | None
    helpfulness: int | None
    mean: float | None
    """Of the ratings that are there, 1..5; higher is better."""
    rationales: list[str | None]
    """Of the aspects in order."""
    kinds: list[str]
    """Only of what is untrue (fact, request, itself) and what helps (clear, complete, brief)."""


class One(BaseModel):
    """A rating as the judge writes it."""

    rating: Literal[1, 2, 3, 4, 5] | None
    rationale: str
    kinds: Annotated[list[Kind], KNOWN] = []


class Ratings(BaseModel):
    """What the judge writes."""

    ratings: list[One]


class UltraFeedback(TableStage):
    """Ask once per aspect about all siblings; no row leaves."""

    version: ClassVar[int] = 3
    scope: ClassVar[Literal["table", "siblings"]] = "siblings"

    aspects: tuple[Aspect, ...] = Field(default=get_args(Aspect), min_length=1)

    def needs(self) -> dict[str, Op]:
        """One judge."""
        return {"judge": "generate"}

    async def decide(
        self, table: Annotated[pa.Table, Answered], ctx: Context
    ) -> Annotated[pa.Table, Rated]:
        """(n, 4) -> (n, 11): every aspect has an order of its own."""
        rows = table.to_pylist()
        request = question(rows[0]["instruction"], rows[0]["input"])
        orders = {aspect: ctx.rng.sample(range(len(rows)), len(rows)) for aspect in self.aspects}
        asked = [
            fill(
                ctx.llm("judge"),
                _ask(aspect, request, [rows[i]["output"] or "" for i in order]),
                Sampling(temperature=0.0),
                Ratings,
            )
            for aspect, order in orders.items()
        ]
        found: dict[Aspect, list[One | None]] = {aspect: [None] * len(rows) for aspect in ASPECTS}
        for (aspect, order), said in zip(orders.items(), await asyncio.gather(*asked), strict=True):
            if isinstance(said, Drop) or len(said[0].ratings) != len(rows):
                continue
            for place, one in zip(order, said[0].ratings, strict=True):
                is_none = one.rating is None and aspect != "honesty"
                found[aspect][place] = None if is_none else one
        columns: dict[str, Any] = {
            aspect: pa.array([one and one.rating for one in ones], pa.int64())
            for aspect, ones in found.items()
        }
        means, why, kinds = [], [], []
        for place in range(len(rows)):
            mine = [found[aspect][place] for aspect in ASPECTS]
            given = [one.rating for one in mine if one and one.rating]
            means.append(sum(given) / len(given) if given else None)
            why.append([one and one.rationale for one in mine])
            kinds.append(list(dict.fromkeys(x for one in mine if one for x in one.kinds)))
        columns |= {"mean": pa.array(means, pa.float64())}
        texts = pa.list_(pa.string())
        columns |= {"rationales": pa.array(why, texts), "kinds": pa.array(kinds, texts)}
        return decisions(table, [True] * len(rows), "", **columns)


def _ask(aspect: Aspect, request: str, answers: list[str]) -> list[Message]:
    shown = "\n\n".join(f"### Answer {i}\n{text}" for i, text in enumerate(answers, 1))
    prompt = PROMPT.format(aspect=ASPECTS[aspect], request=request, answers=shown)
    return [{"role": "user", "content": prompt}]
