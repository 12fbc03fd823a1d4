"""Judge a response by the constraints of its row, each strictly and loosely.

Source: Zhou et al., "Instruction-Following Evaluation for Large Language Models",
arXiv:2311.07911, section 2. The catalogue is in `gristmill.constraints`; `check_ifeval` judges a
response without a run. The reward is that of Ye et al. (MulDimIF), arXiv:2505.07591: how many hold,
of the answer alone, without the reasoning before it.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypedDict

from pydantic import Field

from gristmill.constraints.catalogue import LIMIT_S, Constraint, check_ifeval
from gristmill.constraints.kinds import Verdict
from gristmill.constraints.wanted import judge, listed, read
from gristmill.pipelines.stage import RowStage

__all__ = ["Constraints", "check_ifeval"]


class Judged(TypedDict):
    """What it writes. `passed` is None when a constraint could not be judged and none failed.

    `status` is then `error`, or `timeout` where a check met its limit. The lists have one
    value per constraint, in order; there, too, None is what could not be judged.
    """

    passed: bool | None
    status: str
    detail: str
    strict: list[bool | None]
    loose: list[bool | None]
    measured: list[str]
    """What the strict check saw: a count, a language, the keywords that are missing."""
    reward: int | None
    """How many hold, by `mode`: what could not be judged does not. None without constraints."""


class Constraints(RowStage):
    """Check every constraint of the row on `output`; all must hold.

    What stands up to `</think>` is judged by those with the scope `reasoning` alone.
    """

    version: ClassVar[int] = 3
    of: str = "constraints"
    """Column with a list of constraints, `cid` and `params` each, `scope` where not all of
    the output is meant. It, or any part of it, may be JSON."""
    kwargs: str = ""
    """Column with their parameters where `of` has ids alone, as in the files of IFEval."""
    mode: Literal["strict", "loose"] = "strict"
    """Which of the two decides `passed`; IFEval reports both."""
    limit_s: float = Field(default=LIMIT_S, gt=0, le=600)
    """Seconds of processor time for one check; then its verdict is `timeout`, and no pass."""

    def reads(self) -> frozenset[str]:
        """The columns are parameters."""
        return frozenset({"output", self.of, self.kwargs} - {""})

    def __call__(self, row: dict[str, Any]) -> Judged:
        """Check one by one; a constraint that is none is an error of its own."""
        given = listed(row[self.of])
        params = listed(row[self.kwargs]) if self.kwargs else [None] * len(given)
        if not given or len(params) != len(given):
            why = f"{len(given)} constraints, {len(params)} of them with parameters"
            return judged("no_constraints", why, [], [], None)
        wanted = [read(one, more) for one, more in zip(given, params, strict=True)]
        found = judge(wanted, row["output"], limit_s=self.limit_s)
        strict, loose = ([verdicts[i] for verdicts in found] for i in (0, 1))
        deciding = strict if self.mode == "strict" else loose
        outcomes = [verdict.outcome for verdict in deciding]
        status = next((bad for bad in ("fail", "timeout", "error") if bad in outcomes), "pass")
        why = "; ".join(
            f"{one.cid if isinstance(one, Constraint) else 'none'}: {verdict.measured}"
            for one, verdict in zip(wanted, deciding, strict=True)
            if not verdict.passed
        )
        return judged(status, why, strict, loose, outcomes.count("pass"))


def judged(
    status: str, detail: str, strict: list[Verdict], loose: list[Verdict], reward: int | None
) -> Judged:
    """Return the columns."""
    told = {"pass": True, "fail": False}
    return {
        "passed": told.get(status),
        "status": status,
        "detail": detail,
        "strict": [told.get(verdict.outcome) for verdict in strict],
        "loose": [told.get(verdict.outcome) for verdict in loose],
        "measured": [verdict.measured for verdict in strict],
        "reward": reward,
    }
