"""Drop rows that teach nothing, by what their text alone shows.

Source: the failures that Stanford Alpaca's own rows have (Taori et al., 2023) and that
AlpaGasus (Chen et al., arXiv:2307.08701) and Evol-Instruct (Xu et al., arXiv:2304.12244, section
3.3) remove with a model. These are rules: cheap, the same every time, and each names its evidence.
They are precise rather than complete; `text/detectors.py` says how they were tuned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, Literal, NotRequired, TypedDict, get_args

from pydantic import Field

from gristmill.engines.requests import Gen
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import detectors
from gristmill.text.chat import calls_tools
from gristmill.text.looping import loops
from gristmill.text.shingles import same
from gristmill.text.turns import Turn, preferred


class Texts(TypedDict):
    """What it reads: `messages` where a row has them, else one exchange."""

    instruction: NotRequired[str | None]
    input: NotRequired[str | None]
    output: NotRequired[str | None]
    messages: NotRequired[list[Turn] | None]
    chosen: NotRequired[str | None]
    gen: NotRequired[Gen | None]


class Nothing(TypedDict):
    """It writes no columns."""


Code = Literal[
    "empty_instruction",
    "empty_output",
    "no_output",
    "refusal",
    "repeats_instruction",
    "loop",
    "template_leak",
    "not_text",
    "missing_input",
    "output_too_long",
    "truncated",
    "placeholder",
    "answered",
]
CODES: tuple[Code, ...] = get_args(Code)


class Quality(RowStage):
    """Drop a row at the first fault that is found; every answer of a conversation is looked at.

    Only the last answer has to say something, or to call a tool: those before it may be calls.
    Of a pair the answer that is preferred is the last one; the other may have any fault.
    """

    version: ClassVar[int] = 9
    codes: ClassVar[frozenset[str]] = frozenset(CODES)

    skip: tuple[Code, ...] = ()
    """Faults that are none for this data: `refusal` where refusals are to be learnt."""
    max_chars: int = Field(default=32_000, ge=1)
    """Characters of an answer above which it is `output_too_long`: about 8,000 tokens."""

    def judges(self) -> frozenset[str]:
        """A side may be missing where that is no fault."""
        sides = ("instruction", "output")
        return frozenset(side for side in sides if f"empty_{side}" not in self.skip)

    def __call__(self, row: Texts) -> Nothing | Drop:
        """Look for one fault after the other."""
        for drop in self._faults(row):
            if drop.code not in self.skip:
                return drop
        return {}

    def _faults(self, row: Texts) -> Iterator[Drop]:
        said = preferred(row)
        asked = [turn["content"] for turn in said if turn["role"] == "user"]
        answers = [turn["content"] for turn in said if turn["role"] == "assistant"]
        if not asked:
            yield Drop("empty_instruction", "nothing is asked")
        if not answers or not (answers[-1].strip() or _ends_with_call(row)):
            yield Drop("empty_output", "the last answer is empty")
        if evidence := detectors.answers(asked[0] if asked else ""):
            yield Drop("answered", evidence)
        gen = row.get("gen")
        if gen and gen["finish_reason"] == "length":
            yield Drop("truncated", detectors.AT_LIMIT)
        for answer in answers:
            yield from self._answer(answer, asked[0] if asked else "")
        if not row.get("messages"):
            given = row.get("instruction") or "", row.get("input") or ""
            if evidence := detectors.lacks_input(*given):
                yield Drop("missing_input", evidence)
        if evidence := detectors.garbage("\n".join([*asked, *answers])):
            yield Drop("not_text", evidence)

    def _answer(self, answer: str, instruction: str) -> Iterator[Drop]:
        has_rare = detectors.RARE_FAULTS.may_be_in(answer)
        for code, find in ANSWER_FAULTS if has_rare else LOOP:
            if evidence := find(answer):
                yield Drop(code, evidence)
        if _may_be(answer, instruction) and same(answer) == same(instruction):
            yield Drop("repeats_instruction", answer[:80])
        if len(answer) > self.max_chars:
            yield Drop("output_too_long", f"{len(answer)} > {self.max_chars} characters")


def _may_be(answer: str, instruction: str) -> bool:
    """Say whether an answer of four words or more may be the instruction."""
    if answer.isascii() and instruction.isascii():
        one, other = answer[:1], instruction[:1]
        if one.isalnum() and other.isalnum() and one.lower() != other.lower():
            return False
    return len(answer.split(maxsplit=3)) > 3


def _ends_with_call(row: Texts) -> bool:
    answers = [turn for turn in row.get("messages") or () if turn["role"] == "assistant"]
    return bool(answers) and calls_tools(answers[-1])


LOOP: tuple[tuple[Code, Callable[[str], str | None]], ...] = (("loop", loops),)
ANSWER_FAULTS: tuple[tuple[Code, Callable[[str], str | None]], ...] = (
    ("no_output", detectors.no_output),
    ("no_output", detectors.only_image),
    ("refusal", detectors.declines),
    ("template_leak", detectors.leaks_template),
    *LOOP,
    ("truncated", detectors.cut_off),
    ("placeholder", detectors.stub),
)
"""What makes an answer useless, and how it is found; all but loops is one of `RARE_FAULTS`."""
