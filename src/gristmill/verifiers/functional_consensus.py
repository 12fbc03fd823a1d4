"""Judge programs without tests: the one whose behaviour the others share most is right.

Source: Chen et al., "Divide-and-Conquer Meets Consensus: Unleashing the Power of Functions in
Code Generation", arXiv:2405.20092, section 3.2.
Over shared inputs D: sim(f, g) = |{x in D: f(x) = g(x)}| / |D|, and the candidate with the
greatest sum of sim(f, g) over all other g wins.
Differs from the paper: an input that ends by an exception agrees with nothing, and so does one
whose value differs between two runs. Ties go to the shortest code, then to the first row. Where
nobody agrees with anybody nothing was judged; the paper would take any.
Several programs with the same mistake outvote one that is right: it is a vote.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.engines.requests import Op
from gristmill.engines.sandbox.agreement import consensus, steady, winner
from gristmill.engines.sandbox.profiles import PythonProfile
from gristmill.engines.sandbox.program import Program
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import TableStage, decisions
from gristmill.storage.rows import TEXT
from gristmill.text.fences import python_code


class Judged(TypedDict):
    """What it writes. `passed` is true for one sibling, None for all when nothing was judged."""

    passed: bool | None
    status: str
    consensus: float | None
    """Sum of similarities to the siblings, from 0 to their number; higher is better."""
    inputs_used: int
    verified_by: str | None
    profile: str | None


class FunctionalConsensus(TableStage):
    """Run every sibling on the same calls, and pass the one that agrees most with the others."""

    scope: ClassVar[Literal["table", "siblings"]] = "siblings"

    inputs: str = "inputs"
    """Column with a list of calls such as `f(1, 2)`, the same for all siblings."""
    attempts: int = Field(default=2, ge=1, le=5)
    """Runs of each candidate; a value that is not always the same does not count."""
    timeout_s: float = Field(default=5.0, gt=0, le=600)
    """Wall-clock limit of one run over all calls, in seconds; the paper's runner has 5."""
    memory_mb: int = Field(default=1024, ge=64, le=65536)
    """Memory limit of one run in MiB, all its processes together."""
    profile: PythonProfile = "bare"
    """What programs can import: `bare`, `numpy`, `solver`, `sympy`, or one of
    `engines.sandbox.profiles`."""

    def reads(self) -> frozenset[str]:
        """The column of the inputs is a parameter."""
        return frozenset({"output", self.inputs})

    def needs(self) -> dict[str, Op]:
        """Run programs."""
        return {"sandbox": "run"}

    async def decide(self, table: pa.Table, ctx: Context) -> Annotated[pa.Table, Judged]:
        """(n, 3) -> (n, 10): every row stays."""
        codes = [python_code(output or "") for output in table["output"].to_pylist()]
        calls = tuple(text for text in table[self.inputs].to_pylist()[0] or () if text)
        if not calls:
            return self.written(table, ["no_inputs"] * len(codes), [None] * len(codes))
        limits = {
            "timeout_s": self.timeout_s,
            "memory_mb": self.memory_mb,
            "profile": self.profile,
        }
        runs = [
            [
                ctx.sandbox.run(Program(code, calls=calls, attempt=i, **limits))  # type: ignore[arg-type]
                for i in range(self.attempts if code is not None else 0)
            ]
            for code in codes
        ]
        answers = [await asyncio.gather(*asked) for asked in runs]
        statuses = [found[0].status if found else "no_code" for found in answers]
        profile = next((found[0].profile for found in answers if found), None)
        scores = consensus([steady(found, len(calls)) for found in answers])
        best = winner(scores, [len(code or "") for code in codes])
        return self.written(table, statuses, scores, best, len(calls), profile)

    def written(
        self,
        table: pa.Table,
        statuses: list[str],
        scores: Sequence[float | None],
        best: int | None = None,
        n: int = 0,
        profile: str | None = None,
    ) -> pa.Table:
        """Return the decisions: all stay, `best` passes."""
        size = len(table)
        passed = [None if best is None else i == best for i in range(size)]
        by = None if best is None else "consensus"
        return decisions(
            table,
            [True] * size,
            "",
            passed=pa.array(passed, pa.bool_()),
            status=pa.array(statuses, TEXT),
            consensus=pa.array(scores, pa.float64()),
            inputs_used=pa.array([n] * size, pa.int64()),
            verified_by=pa.array([by] * size, TEXT),
            profile=pa.array([profile] * size, TEXT),
        )
