"""ReasonIF: bind the reasoning of a model to an instruction, not only its answer.

Source: Kwon et al., "ReasonIF: Large Reasoning Models Fail to Follow Instructions During
Reasoning", arXiv:2510.15211, section 3 (six instructions, all of them on the reasoning alone) and
section 5 (tuning on traces that follow them). `verifiers.constraints` judges the trace, and a
verifier such as `math_answer` the answer.
Differs from the paper: our own sentences; a trace is drawn and kept where it passes; the limit of
words is a parameter, since those of the paper are of one model on its five sets.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Literal, NotRequired, TypedDict, get_args

from pydantic import Field

from gristmill.constraints.catalogue import constraint
from gristmill.constraints.parts import CLOSED, OPENED
from gristmill.constraints.wanted import Wanted, wanted
from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.turns import question

TASK = """{question}

Reason first, between <think> and </think>, then give the answer below.
{demand}"""
Kind = Literal[
    "language", "number_words", "english_capital", "end_checker", "json_format", "no_comma"
]


class Problem(TypedDict):
    """What it reads."""

    instruction: str
    input: NotRequired[str | None]


class Traced(TypedDict):
    """What it writes; the output holds the reasoning and the answer."""

    instruction: str
    input: str | None
    output: str
    constraints: list[Wanted]
    kind: str
    gen: Gen


class ReasonIf(RowStage):
    """Ask a problem `n` times, with one instruction for the reasoning drawn for all of them."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"no_trace"}

    kinds: tuple[Kind, ...] = Field(default=get_args(Kind), min_length=1)
    """Drawn from uniformly."""
    n: int = Field(default=4, ge=1)
    """Traces drawn. Our choice."""
    max_words: int = Field(default=200, ge=1)
    """For `number_words`: the reasoning has fewer. The paper has 38 to 860 by set."""
    languages: tuple[str, ...] = Field(default=("de", "es", "fr", "hi", "zh"), min_length=1)
    """For `language`: ISO codes, drawn from uniformly."""
    phrase: str = Field(default="I checked every step above.", pattern=r"\S")
    """For `end_checker`: how the reasoning ends."""
    sampling: Sampling = Sampling(temperature=0.8, max_tokens=4096)

    def needs(self) -> dict[str, Op]:
        """One role."""
        return {"generator": "generate"}

    async def __call__(self, row: Problem, ctx: Context) -> list[Traced | Drop]:
        """Draw the instruction, then the traces at once."""
        kind = ctx.rng.choice(self.kinds)
        params: dict[str, dict[str, Any]] = {
            "language": {"language": ctx.rng.choice(self.languages)},
            "number_words": {"num_words": self.max_words},
            "end_checker": {"end_phrase": self.phrase},
        }
        demand = constraint(f"reasoning:{kind}", params.get(kind, {}))
        asked = question(row["instruction"], row.get("input"))
        text = TASK.format(question=asked, demand=demand.text)
        ask, llm = [Message(role="user", content=text)], ctx.llm("generator")
        replies = await asyncio.gather(*(complete(llm, ask, self.sampling) for _ in range(self.n)))
        rows = list[Traced | Drop]()
        for reply in replies:
            if isinstance(reply, Drop):
                rows.append(reply)
            elif not _has_trace(reply.text):
                rows.append(Drop("no_trace", reply.text))
            else:
                rows.append(
                    Traced(
                        instruction=text,
                        input=None,
                        output=reply.text.strip(),
                        constraints=[wanted(demand)],
                        kind=kind,
                        gen=reply.gen,
                    )
                )
        return rows


def _has_trace(text: str) -> bool:
    """Say whether there is something before the end of the reasoning, and something after it."""
    before, _, after = text.partition(CLOSED)
    return bool(before.replace(OPENED, "").strip() and after.strip())
