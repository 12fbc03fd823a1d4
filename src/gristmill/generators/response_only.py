"""Response-only data: the answers of a set without its questions, which alone teach to follow.

Source: Hewitt et al., "Instruction Following without Instruction Tuning", arXiv:2409.14254,
section 3; `john-hewitt/implicit-ins` (Apache-2.0).
Differs from the paper: a system text goes with the questions; narrow sets are your own seeds. Its
rules that steer a base model are `response_rules` of `use: vllm`; nobody ranks answers of others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.rouge import rouge_l
from gristmill.text.sentences import sentence_ends
from gristmill.text.turns import WholeTurn, turns


class Row(TypedDict):
    """What it reads: one exchange, or a conversation."""

    instruction: NotRequired[str | None]
    input: NotRequired[str | None]
    output: NotRequired[str | None]
    messages: NotRequired[list[WholeTurn] | None]


class Answers(TypedDict):
    """What it writes: the user's turns are there and empty, so that the template's tags stay."""

    instruction: str
    input: str | None
    output: str
    messages: list[WholeTurn]


class ResponseOnly(RowStage):
    """Empty what the user says, and leave every answer as it is, in its place."""

    codes: ClassVar[frozenset[str]] = frozenset({"no_answer", "restates"})

    max_restated: float = Field(default=1.0, ge=0, le=1)
    """ROUGE-L (0..1) of a question with the first sentence of its answer above which a row leaves:
    the control arm without answers that say the question again. At 1 all stay."""

    def judges(self) -> frozenset[str]:
        """A conversation has its answers in `messages`."""
        return frozenset({"output"})

    def __call__(self, row: Row) -> Answers | Drop:
        """Compare every answer with its question, then empty the questions."""
        said = row.get("messages") or [
            WholeTurn(role=turn["role"], content=turn["content"], extra=None) for turn in turns(row)
        ]
        answers = [turn["content"] or "" for turn in said if turn["role"] == "assistant"]
        if not answers or not answers[-1].strip():
            return Drop("no_answer")
        if (rate := _restated(said)) > self.max_restated:
            return Drop("restates", f"ROUGE-L {rate:.2f} with its question")
        emptied = [
            WholeTurn(role="user", content="", extra=None) if turn["role"] == "user" else turn
            for turn in said
            if turn["role"] != "system"
        ]
        return Answers(instruction="", input=None, output=answers[-1], messages=emptied)


def _restated(said: Sequence[WholeTurn]) -> float:
    """Return the highest ROUGE-L of a question with the first sentence of its answer."""
    asked, most = "", 0.0
    for turn in said:
        text = turn["content"] or ""
        if turn["role"] == "user":
            asked = text
        elif turn["role"] == "assistant":
            most = max(most, rouge_l(asked, text[: next(iter(sentence_ends(text)), 0)]))
    return most
