"""DeCRIM's critic, asked about constraints that a program checks: how far it can be believed.

Source: Ferraz et al., "LLM Self-Correction with DeCRIM: Decompose, Critique, and Refine for
Enhanced Following of Instructions with Multiple Constraints", arXiv:2410.06458, section 4: a weak
critic is one that approves, or rejects, nearly everything.
Differs from the paper: it has people's labels, here a program knows. It is the same question that
`generators.decrim_refine` asks; the card has the agreement, and kappa with its interval.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

from gristmill.constraints.catalogue import Constraint
from gristmill.constraints.wanted import judge, listed, read
from gristmill.engines.requests import Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.judgements import CRITIC, criticised
from gristmill.text.turns import user


class Compared(TypedDict):
    """What it writes: of every constraint that program and critic could both judge, in order."""

    passed: bool | None
    """Whether the critic says what the program does of all of them; None where there is none."""
    by_critic: list[bool]
    by_program: list[bool]
    n_unparsed: int
    """Replies of the critic that could not be read."""


class DecrimCritic(RowStage):
    """Ask the critic about each constraint that the row has as parameters; no row leaves."""

    of: str = ""
    """Column with constraints, `cid` and `params` each; without one nobody is asked."""

    def reads(self) -> frozenset[str]:
        """The column is a parameter."""
        return frozenset({"instruction", "output", self.of} - {""})

    def needs(self) -> dict[str, Op]:
        """The critic of `generators.decrim_refine`."""
        return {"judge": "generate"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> Compared:
        """One call for each constraint; they share all but that."""
        given = [read(one, None) for one in listed(row[self.of])] if self.of else []
        known = [one for one in given if isinstance(one, Constraint)]
        seen = zip(known, judge(known, row["output"]), strict=True)
        told = [(one.text, x.passed) for one, (x, _) in seen if x.outcome in ("pass", "fail")]
        same = {"instruction": row["instruction"], "response": row["output"]}
        asks = (user(CRITIC.format(**same, constraint=text)) for text, _ in told)
        calls = [complete(ctx.llm("judge"), [one], Sampling(0.0)) for one in asks]
        said = [
            None if isinstance(one, Drop) else criticised(one.text)
            for one in await asyncio.gather(*calls)
        ]
        both = [(a[0], b) for a, (_, b) in zip(said, told, strict=True) if a]
        return {
            "passed": all(a == b for a, b in both) if both else None,
            "by_critic": [a for a, _ in both],
            "by_program": [b for _, b in both],
            "n_unparsed": said.count(None),
        }
