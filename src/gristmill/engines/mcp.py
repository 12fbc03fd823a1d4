"""A server of the user's that speaks the Model Context Protocol, as what answers calls of tools.

It runs outside the sandbox, with the user's rights, so a recipe that names one needs
--allow-plugins. What it answers is stored: the same calls in the same order are made once.
"""

from __future__ import annotations

import asyncio
import json
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, Field, PrivateAttr

from gristmill.engines.base import Engine
from gristmill.engines.calling import Called, CallTool
from gristmill.engines.mcp_session import Server, Session
from gristmill.engines.requests import Op
from gristmill.errors import InputError, RequirementError
from gristmill.storage.ids import digest
from gristmill.text.tool_listings import listed


class Mcp(Server, Engine):
    """Calls tools, each once, whatever comes of it."""

    model_config = ConfigDict(ignored_types=(cached_property,))

    ops: ClassVar[frozenset[Op]] = frozenset({"call"})
    foreign: ClassVar[bool] = True

    listing: Path
    """What `build-dataset tools` wrote: name, version and tools, which the server has to have."""
    max_in_flight: int = Field(default=4, ge=1)
    """Calls at once."""

    _session: Session | None = PrivateAttr(default=None)
    _room: asyncio.Semaphore = PrivateAttr()

    @cached_property
    def listed(self) -> dict[str, Any]:
        """The listing."""
        try:
            found = json.loads(self.listing.read_text("utf-8"))
            info = {name: str(found["info"][name]) for name in ("title", "version")}
            listed(found)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise InputError(
                f"{self.listing} lists no tools: {error}; build-dataset tools FILE writes it"
            ) from error
        return {"info": info, "tools": found["tools"]}

    @property
    def identity(self) -> str:
        """Name the server, its version and its tools; not where it runs, and no secret."""
        return f"mcp:{digest(self.listed)}"

    @property
    def named(self) -> str:
        """Name and version."""
        return "{title} ({version})".format_map(self.listed["info"])

    def check(self) -> None:
        """Raise when it could not start here."""
        self.secrets()

    def origin(self) -> dict[str, Any]:
        """Say who answers, and that it does so outside the sandbox."""
        at = {"pinned": self.identity.rpartition(":")[2], "licence": None}
        return {"model": self.listed["info"]["title"], "outside": self.named, **at}

    async def start(self) -> None:
        """Start it, and hold it to its listing."""
        if self._session is not None:
            return
        session, self._room = Session(self), asyncio.Semaphore(self.max_in_flight)
        await session.open()
        if wrong := _differs(session.listing, self.listed):
            await session.close()
            raise RequirementError(
                f"the MCP server is not that of {self.listing}: {wrong}; list it again with "
                "build-dataset tools, and what it answers from then on is stored apart"
            )
        self._session = session

    async def stop(self) -> None:
        """End it."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def call(self, request: CallTool) -> Called:
        """Make the last call of a request."""
        await self.start()
        name, arguments = request.calls[-1]
        async with self._room:
            return await self._session.call(name, json.loads(arguments))  # type: ignore[union-attr]


def _differs(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Return in what two listings differ."""
    if found["info"] != wanted["info"]:
        return "it is {title} {version}".format_map(found["info"])
    theirs, ours = ({one["name"]: one for one in told["tools"]} for told in (found, wanted))
    names = [name for name in {**theirs, **ours} if theirs.get(name) != ours.get(name)]
    return f"other tools: {', '.join(names)}" if names else ""
