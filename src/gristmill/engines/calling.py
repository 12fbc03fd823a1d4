"""Calls of functions that a server answers, outside the sandbox, and who answers in a stage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pydantic import BaseModel

from gristmill.engines.requests import Answer, Op
from gristmill.errors import ToolFailed
from gristmill.storage.ids import digest
from gristmill.text.json_values import problem
from gristmill.text.simulated_api import BAD_ARGUMENTS, NO_FUNCTION, OK, Api, Call, Result
from gristmill.text.tool_calls import Answering, simulated

if TYPE_CHECKING:
    from gristmill.engines.handles import Llm

LATE, TOOL_ERROR, GARBAGE = 5, 11, 12
"""Codes of ToolBench's server: no answer in time, an error that the tool tells, no answer."""
NO_ANSWER = {LATE: "tool_timeout", GARBAGE: "tool_garbage"}
LOST = frozenset(NO_ANSWER.values())
"""Reject codes of rows whose calls got no answer."""


@dataclass(frozen=True, slots=True)
class Called(Answer):
    """What came of a call."""

    code: int
    body: Any
    """JSON; an object with `error` where the code is none of success."""

    @property
    def durable(self) -> bool:
        """What got no answer is no answer."""
        return self.code not in NO_ANSWER


@dataclass(frozen=True, slots=True)
class CallTool:
    """Make the last of some calls; those before it were made on the way to it."""

    op: ClassVar[Op] = "call"
    answer: ClassVar[type[Answer]] = Called

    calls: tuple[tuple[str, str], ...]
    """Names as the server has them, and arguments as JSON: the same way has the same answer."""

    def key(self, identity: str) -> str:
        """Return the name of the answer."""
        return digest(identity, self.op, self.calls)


class Bound(Protocol):
    """Roles, each with the engine that it is bound to."""

    def llm(self, role: str) -> Llm:
        """Return the engine."""
        ...


class Answered(BaseModel):
    """What stages that call functions have in common."""

    by: Literal["simulation", "server"] = "simulation"
    """Who answers calls: a simulated API, or the MCP server that the role `tools` is bound to. A
    server has one world: what a call changes there stays changed for every branch and row."""

    def tools(self) -> dict[str, Op]:
        """Return the role that answers, if any does."""
        return {"tools": "call"} if self.by == "server" else {}

    def answering(self, api: Api, ctx: Bound) -> Answering:
        """Return what answers for an API."""
        return _Served(api, ctx.llm("tools")).answer if self.tools() else simulated(api)


@dataclass(frozen=True, slots=True)
class _Served:
    """A server, as far as a row's API goes: what does not fit that never leaves."""

    api: Api
    llm: Llm

    async def answer(self, calls: Sequence[Call]) -> Result:
        """Return the answer to the last call.

        Raises:
            ToolFailed: there is none.
        """
        known = {one["name"]: one for one in self.api["endpoints"]}
        if (one := known.get(calls[-1]["name"])) is None:
            why = f"there is no function {calls[-1]['name']!r:.80}"
            return {"code": NO_FUNCTION, "status": 404, "body": {"error": why}}
        if wrong := problem(one["parameters"], calls[-1]["arguments"]):
            return {"code": BAD_ARGUMENTS, "status": 400, "body": {"error": wrong}}
        way = tuple(
            (known[call["name"]]["path"], json.dumps(call["arguments"], sort_keys=True))
            for call in calls
            if call["name"] in known
        )
        made = await self.llm.call(way)
        if made.code in NO_ANSWER:
            raise ToolFailed(NO_ANSWER[made.code], f"{calls[-1]['name']}: {made.body['error']}")
        return {"code": made.code, "status": 200 if made.code == OK else 500, "body": made.body}
