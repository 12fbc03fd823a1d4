"""Check calls of functions by making them again: names, arguments, and what was answered.

No model is asked. It is what ToolLLM (Qin et al., arXiv:2307.16789) leaves to live services: here
the API is simulated and answers the same each time. With `by: server` the answers are those that
the store has of the run's own calls: the server is asked only for what it never answered.
"""

from __future__ import annotations

from typing import TypedDict

from gristmill.engines.calling import Answered
from gristmill.engines.requests import Op
from gristmill.errors import ToolFailed
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage
from gristmill.text.simulated_api import BAD_ARGUMENTS, NO_FUNCTION, OK
from gristmill.text.tool_calls import ToolTurn, api_of, read_calls, shown

Row = TypedDict(
    "Row", {"messages": list[ToolTurn] | None, "output": str | None, "meta.tool_llm.api": str}
)


class Replayed(TypedDict):
    """What it writes."""

    passed: bool | None
    """None where a server gave no answer."""
    status: str
    """pass, no_call, no_answer, unknown_function, bad_arguments, other_answer (what was said to
    have been answered is not what is), or how a server failed."""
    detail: str
    n: int
    """Calls."""
    failed: int
    """Those among them that the API refused, for example because something was not found."""


class ToolCalls(Answered, RowStage):
    """Make the calls of a conversation in a new world, in their order, and compare."""

    def needs(self) -> dict[str, Op]:
        """Nobody where the API is simulated."""
        return self.tools()

    async def __call__(self, row: Row, ctx: Context) -> Replayed:
        """Stop at the first difference; turns that call and answer must alternate."""
        told = read_calls(row["messages"] or [])
        api = api_of(row["meta.tool_llm.api"])
        calls, answer = [call for call, _ in told], self.answering(api, ctx)
        try:
            results = [await answer(calls[: i + 1]) for i in range(len(calls))]
        except ToolFailed as error:
            status, detail = error.args
            return Replayed(passed=None, status=status, detail=detail, n=len(calls), failed=0)
        failed = sum(result["code"] != OK for result in results)
        status, detail = "pass" if told else "no_call", ""
        for (call, seen), result in zip(told, results, strict=True):
            if result["code"] in (NO_FUNCTION, BAD_ARGUMENTS):
                is_name = result["code"] == NO_FUNCTION
                status = "unknown_function" if is_name else "bad_arguments"
                detail = f"{call['name']}: {result['body']['error']}"
                break
            if seen != shown(result):
                status = "other_answer"
                detail = f"{call['name']}: {seen!r:.200} against {shown(result)!r:.200}"
                break
        if status == "pass" and not (row["output"] or "").strip():
            status = "no_answer"
        return Replayed(
            passed=status == "pass", status=status, detail=detail, n=len(told), failed=failed
        )
