"""Smart-LLaMA-DPO: two explanations of what is wrong with a contract, judged, as example and pair.

Source: Yu et al., "Smart-LLaMA-DPO: Reinforced Large Language Model for Explainable Smart Contract
Vulnerability Detection", arXiv:2506.18245, the building of its data.
Differs from the paper: a model rates where people do; the weights and the least gap are our choice;
the stated order of calls is not compared with a call graph.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, TypedDict

from pydantic import BaseModel, Field

from gristmill.engines.requests import Completion, Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, fill
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.pairs import Pair, pair
from gristmill.text.rouge import repeats
from gristmill.text.turns import user
from gristmill.text.words import words

CONTRACT = """### Contract, with the numbers of its lines
{code}

"""
"""What all four calls of a contract begin with."""
EXPLAIN = """### Task
Say whether the contract above can be attacked, and how. Reply with a JSON object: "label", one of \
{labels}; "line", the number of the line where it goes wrong, or null if nothing does; and \
"explanation", the steps of an attack in the order in which they happen, or why there is none."""
JUDGE = """### Task
An explanation of the contract above follows. Rate it with whole numbers from 1 to 10 in a JSON \
object: "correctness", are its steps true, in this order; "thoroughness"; "clarity"; and \
"wrong_step", the first step that is wrong in its words, or null.

### Explanation
{explanation}"""


class Explanation(BaseModel):
    """What a reply holds."""

    label: str
    line: int | None
    explanation: str


class Marks(BaseModel):
    """What a judge's reply holds."""

    correctness: int = Field(ge=1, le=10)
    thoroughness: int = Field(ge=1, le=10)
    clarity: int = Field(ge=1, le=10)
    wrong_step: str | None = None


class Contract(TypedDict):
    """What it reads; `label` is known."""

    code: str
    label: str


class Explained(Pair, total=False):
    """What it writes: an example and a pair."""

    instruction: str
    input: str | None
    gen: Gen
    line: int | None
    marks: list[int]
    """Correctness, thoroughness and clarity of the better explanation."""


class ContractPairs(RowStage):
    """Make two rows of a contract: the better explanation to learn, and both as a pair."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {
        "wrong_label", "no_such_line", "small_gap", "no_gain"
    }  # fmt: skip

    labels: tuple[str, ...] = Field(
        default=("reentrancy", "timestamp dependency", "delegatecall", "integer overflow", "safe"),
        min_length=2,
    )
    """The paper's four kinds, and none."""
    weights: tuple[float, float, float] = (0.5, 0.3, 0.2)
    """Of correctness, thoroughness and clarity."""
    min_gap: float = Field(default=1.0, ge=0)
    """Weighted marks (1..10) of the better explanation less those of the other, at least."""
    sampling: Sampling = Sampling(temperature=0.8, max_tokens=1024)
    """For explanations; the judge is greedy."""

    def needs(self) -> dict[str, Op]:
        """Two models of different strength, or one; and a judge."""
        return {"strong": "generate", "weak": "generate", "judge": "generate"}

    async def __call__(self, row: Contract, ctx: Context) -> list[Explained] | Drop:
        """Two explanations, two judgements; of equal ones there is no pair."""
        lines = row["code"].splitlines()
        code = "\n".join(f"{i:4} {line}" for i, line in enumerate(lines, 1))
        asked = CONTRACT.format(code=code) + EXPLAIN.format(labels=", ".join(self.labels))
        writers = ("strong", "weak")
        asks = (self._one(asked, code, name, ctx.branch(i)) for i, name in enumerate(writers))
        found = list[tuple[float, str, Explanation, Marks, Completion]]()
        for name, made in zip(writers, await asyncio.gather(*asks), strict=True):
            if isinstance(made, Drop):
                return made
            said, marks, reply = made
            if said.line is not None and not 1 <= said.line <= len(lines):
                return Drop("no_such_line", f"{name}: {said.line} of {len(lines)}")
            found.append((self._weighted(marks), name, said, marks, reply))
        found.sort(key=lambda one: -one[0])
        (high, better, good, marks, reply), (low, worse, bad, faults, _) = found
        is_right = [words(one.label) == words(row["label"]) for one in (good, bad)]
        if not is_right[0] or not (is_right[1] or faults.wrong_step):
            return Drop("wrong_label", f"{good.label} and {bad.label}, not {row['label']}")
        if high - low < self.min_gap - 1e-9:
            return Drop("small_gap", f"{high:.3g} and {low:.3g}")
        if repeats(words(good.explanation), words(bad.explanation)):
            return Drop("no_gain", good.explanation)
        told = Explained(
            instruction=asked, input=None, gen=reply.gen, line=good.line,
            marks=[marks.correctness, marks.thoroughness, marks.clarity],
        )  # fmt: skip
        both = pair(
            asked, good.model_dump_json(), bad.model_dump_json(), high - low, (better, worse)
        )
        return [{**told, "output": good.model_dump_json()}, {**told, **both}]

    async def _one(
        self, asked: str, code: str, name: str, ctx: Context
    ) -> tuple[Explanation, Marks, Completion] | Drop:
        found = await fill(ctx.llm(name), [user(asked)], self.sampling, Explanation)
        if isinstance(found, Drop):
            return found
        said, reply = found
        ask = CONTRACT.format(code=code) + JUDGE.format(explanation=said.model_dump_json())
        marks = await fill(ctx.llm("judge"), [user(ask)], Sampling(0.0, 1.0, 256), Marks)
        return marks if isinstance(marks, Drop) else (said, marks[0], reply)

    def _weighted(self, marks: Marks) -> float:
        given = (marks.correctness, marks.thoroughness, marks.clarity)
        return sum(w * mark for w, mark in zip(self.weights, given, strict=True))
