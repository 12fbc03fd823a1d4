"""A session with a server that speaks the Model Context Protocol, by stdio or streamable HTTP.

Secrets come from the environment when it starts. They are in no identity, file or error, and where
the server says one it is masked.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import tempfile
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self, TextIO

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from gristmill.engines.calling import GARBAGE, LATE, TOOL_ERROR, Called
from gristmill.errors import EngineError, RequirementError
from gristmill.text.keys import keys
from gristmill.text.simulated_api import OK

if TYPE_CHECKING:
    import httpx2
    from mcp import Client

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_PAGES = 100
"""Of a list of tools."""
MAX_BODY = 200_000
"""Characters of an answer that are kept; a longer one is none."""
MAX_SAID = 300
"""Characters of a server's own error that a message repeats."""


class Server(BaseModel):
    """How to reach a server."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    command: tuple[str, ...] = ()
    """What starts it, where it speaks through stdin and stdout."""
    url: str = ""
    """Where it answers, where it speaks through streamable HTTP."""
    env: tuple[str, ...] = ()
    """Names of environment variables that it needs besides PATH and HOME."""
    token_env: str | None = None
    """The variable that holds the bearer token of `url`."""
    start_s: float = Field(default=60.0, gt=0)
    """For its start and the list of its tools."""
    timeout_s: float = Field(default=30.0, gt=0)
    """For one call; a row whose call takes longer is rejected, and nothing is called twice."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.command) == bool(self.url):
            raise PydanticCustomError("way", "expected either a command or a url")
        if not all(map(NAME.fullmatch, [*self.env, self.token_env or "none"])):
            raise PydanticCustomError("private", "expected names of variables, never their values")
        return self

    @field_validator("command", "url")
    @classmethod
    def _without_secrets(cls, given: Any) -> Any:
        said = given if isinstance(given, str) else " ".join(given)
        if any(True for _ in keys(said)):
            raise PydanticCustomError("private", "holds a secret; name its variable in env instead")
        if isinstance(given, str) and given and not re.match(r"https?://[^@]+$", given):
            raise PydanticCustomError("private", "expected http(s)://... without a password")
        return given

    def secrets(self) -> dict[str, str]:
        """Return the variables that it is given.

        Raises:
            RequirementError: one is not set, or there is no such command.
        """
        names = [*self.env, *([self.token_env] if self.token_env else [])]
        if lost := [name for name in names if not os.environ.get(name)]:
            raise RequirementError(f"the variables {lost} are not set; set them in this shell")
        if self.command and not shutil.which(self.command[0]):
            raise RequirementError(f"there is no command '{self.command[0]}'; install the server")
        return {name: os.environ[name] for name in names}


class Session:
    """One server that runs; a task of its own opens and closes it, as its client asks for."""

    def __init__(self, server: Server) -> None:
        """Begin without a connection."""
        self.server, self.listing = server, dict[str, Any]()
        self._secrets = server.secrets()
        self._client: Client | None = None
        self._done, self._opening = asyncio.Event(), asyncio.Lock()
        self._owner: asyncio.Task[None] | None = None
        self._said = ""
        """The last line that it wrote to its log, or its last error of HTTP."""

    async def open(self) -> None:
        """Start it, and list its tools.

        Raises:
            EngineError: it does not start, or speaks something else.
        """
        ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._done.clear()
        self._owner = asyncio.create_task(self._own(ready))
        try:
            async with asyncio.timeout(self.server.start_s):
                self._client = await asyncio.shield(ready)
                self.listing = await _listing(self._client)
        except _errors() as error:
            await self.close()
            late = f"nothing in {self.server.start_s:g} s"
            why = late if isinstance(error, TimeoutError) else self.masked(_told(error))
            name = self.server.url or self.server.command[0]
            why += f"; it last said: {self.masked(self._said)[:MAX_SAID]}" if self._said else ""
            raise EngineError(f"the MCP server {name} does not answer: {why}") from None

    async def close(self) -> None:
        """End it."""
        owner, self._owner, self._client = self._owner, None, None
        self._done.set()
        if owner is not None:
            done, _ = await asyncio.wait([owner], timeout=self.server.start_s)
            if not done:
                owner.cancel()
            await asyncio.gather(owner, return_exceptions=True)

    async def call(self, name: str, arguments: dict[str, Any]) -> Called:
        """Call a tool once; what a connection that broke leaves open is not called again."""
        from mcp.types import CONNECTION_CLOSED, INVALID_PARAMS, INVALID_REQUEST, REQUEST_TIMEOUT

        async with self._opening:
            if self._client is None:
                await self.open()
        try:
            async with asyncio.timeout(self.server.timeout_s):
                result = await self._client.call_tool(name, arguments)  # type: ignore[union-attr]
            return self._read(result)
        except _errors() as error:
            is_odd = isinstance(error, ValueError | RuntimeError)  # it spoke, and made no sense
            code = 0 if is_odd else getattr(error, "code", CONNECTION_CLOSED)
            if isinstance(error, TimeoutError) or code == REQUEST_TIMEOUT:
                return _failed(LATE, f"no answer in {self.server.timeout_s:g} s")
            if code in (CONNECTION_CLOSED, INVALID_REQUEST):
                await self.close()  # the next call starts it anew
            is_said = code == INVALID_PARAMS  # any other error may be the machine's
            return _failed(TOOL_ERROR if is_said else GARBAGE, self.masked(_told(error)))

    def masked(self, text: str) -> str:
        """Return what the server says without its secrets."""
        for secret in self._secrets.values():
            text = text.replace(secret, "[secret]")
        return text

    async def _own(self, ready: asyncio.Future[Client]) -> None:
        """Hold the connection until it is done with."""
        from mcp import Client

        with tempfile.TemporaryFile("w+", errors="replace") as log:
            try:
                async with AsyncExitStack() as stack:
                    to = await self._transport(stack, log)
                    client = Client(to, read_timeout_seconds=self.server.timeout_s, cache=None)
                    ready.set_result(await stack.enter_async_context(client))
                    await self._done.wait()
            except _errors() as error:
                if not ready.done():
                    ready.set_exception(error)
            finally:
                log.seek(0)
                lines = [line for line in log.read().split("\n") if line.strip()]
                self._said = lines[-1] if lines else self._said

    async def _transport(self, stack: AsyncExitStack, log: TextIO) -> Any:
        """Return what carries the messages."""
        import httpx2
        from mcp import StdioServerParameters
        from mcp.client.stdio import stdio_client
        from mcp.client.streamable_http import streamable_http_client

        if self.server.command:
            first, *more = self.server.command
            given = {name: self._secrets[name] for name in self.server.env}
            how = StdioServerParameters(
                command=first, args=more, env=given, encoding_error_handler="replace"
            )
            return stdio_client(how, errlog=log)
        token = self._secrets.get(self.server.token_env or "")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        hooks = {"response": [self._note]}
        client = httpx2.AsyncClient(
            headers=headers, timeout=self.server.timeout_s, event_hooks=hooks
        )
        http = await stack.enter_async_context(client)
        return streamable_http_client(self.server.url, http_client=http)

    async def _note(self, reply: httpx2.Response) -> None:
        """Remember the status of an error, which the protocol's client does not tell."""
        if reply.is_error:
            self._said = f"HTTP {reply.status_code}"

    def _read(self, result: Any) -> Called:
        """Return what a tool says: its JSON where it has some, else its text."""
        texts = [getattr(part, "text", f"[{part.type}]") for part in result.content]
        body = result.structured_content
        text = self.masked("\n".join(texts) if body is None else json.dumps(body, allow_nan=False))
        if len(text) > MAX_BODY:
            return _failed(GARBAGE, f"an answer of {len(text):,} characters")
        if result.is_error:
            return _failed(TOOL_ERROR, text or "the tool failed")
        try:
            return Called(OK, json.loads(text, parse_constant=_finite))
        except (ValueError, RecursionError):
            return Called(OK, text)


async def _listing(client: Client) -> dict[str, Any]:
    """Return a server's name, version and tools, as its file has them."""
    info, tools, cursor = client.server_info, list[Any](), None
    for _ in range(MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        told = (one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in page.tools)
        named = ("name", "title", "description", "inputSchema", "outputSchema")
        tools += [{name: one[name] for name in named if name in one} for one in told]
        if (cursor := page.next_cursor) is None:
            break
    name, version = (info.name, info.version) if info else ("server", "")
    return {"info": {"title": name, "version": version}, "tools": tools}


def _errors() -> tuple[type[BaseException], ...]:
    """Return what the protocol's client raises, TimeoutError (an OSError) among them."""
    import anyio
    import httpx2
    from mcp import MCPError

    of_streams = (anyio.ClosedResourceError, anyio.BrokenResourceError, anyio.EndOfStream)
    plain = (OSError, ValueError, RuntimeError, ExceptionGroup)
    return (MCPError, *of_streams, httpx2.HTTPError, *plain)


def _told(error: BaseException) -> str:
    """Return the first reason in an error, or in a group of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(str(getattr(error, "message", "") or error or repr(error)).split())[:MAX_SAID]


def _failed(code: int, why: str) -> Called:
    return Called(code, {"error": why})


def _finite(text: str) -> None:
    raise ValueError(f"{text} is no number")
