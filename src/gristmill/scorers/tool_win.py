"""ToolEval, win: how often a conversation with calls is better than others for the same request.

Source: Qin et al., "ToolLLM: Facilitating Large Language Models to Master 16000+ Real-world APIs",
arXiv:2307.16789, section 3.1; `OpenBMB/ToolBench` (Apache-2.0): an answer beats none, a solved task
an unsolved one, of two solved the shorter wins, of two unsolved the one with more successful calls
and more APIs (10 s + 5 t - 5 ln n). Only what is equal by that is shown to a judge, in both orders.
Differs from the paper: our own prompt; a judge that changes its mind with the order says tie; it is
also shown what nobody could say is solved or not.
"""

from __future__ import annotations

import asyncio
import math
from itertools import combinations
from typing import Annotated, ClassVar, Literal, TypedDict

import pyarrow as pa

from gristmill.engines.handles import Llm
from gristmill.engines.requests import Op
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import judge
from gristmill.pipelines.stage import Drop, TableStage, decisions
from gristmill.text.tool_calls import ToolTurn, read_calls, told_calls

PROMPT = """Two assistants did what a request asks for by calling functions. Decide which did it \
better: who found out and said more of what was asked for, with fewer calls for nothing. Neither \
the order nor the length says anything. Reply with one word: first, second or tie.

### Request
{request}

### First
{first}

### Second
{second}

### First, second or tie"""
Row = TypedDict(
    "Row",
    {
        "instruction": str,
        "output": str | None,
        "messages": list[ToolTurn] | None,
        "verdicts.tool_eval.passed": bool | None,
    },
)


class Scored(TypedDict):
    """What it writes: None for a row without siblings."""

    win_rate: float | None
    """0..1: wins, and half of the ties, among the comparisons; higher is better."""
    by_judge: int
    """Comparisons that the judge had to decide."""


class ToolWin(TableStage):
    """Compare every two siblings."""

    scope: ClassVar[Literal["table", "siblings"]] = "siblings"

    def needs(self) -> dict[str, Op]:
        """One judge."""
        return {"judge": "generate"}

    async def decide(
        self, table: Annotated[pa.Table, Row], ctx: Context
    ) -> Annotated[pa.Table, Scored]:
        """(n, 4) -> (n, 6): all pairs, O(n^2)."""
        rows = table.to_pylist()
        pairs = list(combinations(range(len(rows)), 2))
        asks = (_better(rows[i], rows[j], ctx.branch(k)) for k, (i, j) in enumerate(pairs))
        found = await asyncio.gather(*asks)
        won, asked = [0.0] * len(rows), [0] * len(rows)
        for (i, j), (share, by_judge) in zip(pairs, found, strict=True):
            won[i], won[j] = won[i] + share, won[j] + 1 - share
            asked[i], asked[j] = asked[i] + by_judge, asked[j] + by_judge
        n = len(rows) - 1
        rates = [one / n if n else None for one in won]
        columns = {
            "win_rate": pa.array(rates, pa.float64()),
            "by_judge": pa.array(asked, pa.int64()),
        }
        return decisions(table, [True] * len(rows), "", **columns)


def standing(row: Row) -> tuple[float, ...]:
    """Return what two conversations are compared by, first things first; more is better."""
    calls = read_calls(row["messages"] or [])
    is_solved = row["verdicts.tool_eval.passed"] is True
    good = [call for call, seen in calls if (seen or "").startswith('{"error": "", ')]
    tools = {call["name"].rpartition("_for_")[2] for call in good}
    rule = 10 * len(good) + 5 * len(tools) - 5 * math.log(max(1, len(calls)))
    return bool((row["output"] or "").strip()), is_solved, -len(calls) if is_solved else rule


async def _better(one: Row, other: Row, ctx: Context) -> tuple[float, bool]:
    """Return 1, 0 or 0.5 for the first, the second or neither, and whether the judge said so."""
    mine, theirs = standing(one), standing(other)
    verdicts = (one["verdicts.tool_eval.passed"], other["verdicts.tool_eval.passed"])
    is_open = mine[0] and theirs[0] and None in verdicts
    if mine != theirs and not is_open:
        return float(mine > theirs), False
    llm = ctx.llm("judge")
    first = await _asked(llm, one, other)
    second = await _asked(llm, other, one)
    return {("first", "second"): 1.0, ("second", "first"): 0.0}.get((first, second), 0.5), True


async def _asked(llm: Llm, first: Row, second: Row) -> str:
    told = (
        f"{told_calls(row['messages'] or [])}\nAnswer: {row['output']}" for row in (first, second)
    )
    one, other = told
    prompt = PROMPT.format(request=first["instruction"], first=one, second=other)
    said = await judge(llm, [{"role": "user", "content": prompt}], ("first", "second", "tie"))
    return "tie" if isinstance(said, Drop) else said
