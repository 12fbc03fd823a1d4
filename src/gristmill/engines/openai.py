"""A server that speaks the OpenAI interface: `vllm serve`, or any other.

The key is read from the environment when the engine starts, and appears nowhere else: not in the
identity, a lock file, a log or an error.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import re
import time
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, Field, PrivateAttr, field_validator
from pydantic_core import PydanticCustomError

from gristmill.engines.base import Engine
from gristmill.engines.http_replies import FILTERED, ended, first, likeliest, names, read_reply
from gristmill.engines.requests import Choice, Completion, Generate, Op, Probs, Prompt
from gristmill.engines.schemas import response_format, unwrapped
from gristmill.engines.seeing import with_images
from gristmill.errors import EngineError, EngineExhausted, EngineRefused, RequirementError
from gristmill.storage.ids import digest

if TYPE_CHECKING:
    import httpx

AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
"""Answers of a server that is busy or restarting."""
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TELL_S = 60.0
"""Between two lines about requests that are asked again: all of them may be."""
log = logging.getLogger(__name__)


class OpenAI(Engine):
    """Writes texts and judges by one token through HTTP; asks again while the server is busy.

    Text is continued by `/completions`, messages are answered by `/chat/completions`. A server
    may ignore the seed of a draw; the first answer that was stored stays the answer.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    ops: ClassVar[frozenset[Op]] = frozenset({"generate", "choice", "see"})

    base_url: str = "http://127.0.0.1:8000/v1"
    model: str
    """The name that the server knows."""
    revision: str = ""
    """Part of the identity: raise it when the server's weights change under the same name."""
    api_key_env: str | None = None
    """The environment variable that holds the key; None for a server without one."""
    max_in_flight: int = Field(default=128, ge=1)
    """Requests on the wire at once."""
    timeout_s: float = Field(default=600.0, gt=0)
    """Without a word of one answer; then it is asked for again."""
    attempts: int = Field(default=8, ge=1)
    """Posts before the request fails: two minutes in which a server may start again."""
    backoff_s: float = Field(default=1.0, ge=0)
    """Wait before the second try; doubled each time, 60 at most."""
    top_logprobs: int = Field(default=20, ge=1)
    """Alternatives that the server gives for one token; labels outside them count as 0."""
    response_format: bool = True
    """Whether it holds replies to a JSON schema; else they are only read by it."""

    _clients: list[Any] = PrivateAttr(default_factory=list)
    _free: Any = PrivateAttr(default=None)
    """Clients without a request, the last used first: its connection is warm."""
    _transport: Any = PrivateAttr(default=None)
    _held: set[str] = PrivateAttr(default_factory=set)
    """Schemas that a reply was held to."""
    _quiet_until: float = PrivateAttr(default=0.0)

    @field_validator("base_url")
    @classmethod
    def _without_secrets(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")) or "@" in url:
            raise PydanticCustomError(
                "private",
                "must be an http or https address without a user and password; "
                "name the variable that holds the key in api_key_env",
            )
        return url.rstrip("/")

    @field_validator("api_key_env", mode="before")
    @classmethod
    def _only_a_name(cls, name: Any) -> Any:
        if name is None or (isinstance(name, str) and NAME.fullmatch(name)):
            return name
        raise PydanticCustomError(
            "private",
            "must be the name of an environment variable, such as OPENAI_API_KEY, and never the "
            "key itself",
        )

    @property
    def identity(self) -> str:
        """Name the server, the model and its revision; never the key."""
        loose = [] if self.response_format else ["loose"]
        return f"openai:{digest(self.base_url, self.model, self.revision, *loose)}"

    @property
    def window(self) -> int:
        """Requests on the wire."""
        return self.max_in_flight

    def check(self) -> None:
        """Raise when the key is not in the environment; a key can look like a name."""
        if self.api_key_env and not os.environ.get(self.api_key_env):
            raise RequirementError(
                "the variable that api_key_env names is not set; set it in this shell first, and "
                "write its name there, never the key"
            )

    def origin(self) -> dict[str, Any]:
        """Say which server has the model; what it serves is not for us to look at."""
        at = {"pinned": self.revision or None, "licence": None}
        return {"model": self.model, "server": self.base_url, **at}

    async def start(self) -> None:
        """Open the connections."""
        import httpx

        if self._clients:
            return
        self.check()
        key = os.environ.get(self.api_key_env or "", "")
        how: dict[str, Any] = {
            "headers": {"Authorization": f"Bearer {key}"} if key else {},
            "timeout": httpx.Timeout(self.timeout_s, connect=10.0),
            "verify": httpx.create_ssl_context(),
            "transport": self._transport,
        }
        # One client per connection: a pool of 128 looks at all of them for each request, in 6 ms.
        self._clients = [httpx.AsyncClient(**how) for _ in range(self.max_in_flight)]
        self._free = asyncio.LifoQueue()
        for client in self._clients:
            self._free.put_nowait(client)
        await self._knock()

    async def _knock(self) -> None:
        """Ask for the list of models once, so that a wrong address or key ends a run at its start.

        Servers without such a list are believed.
        """
        import httpx

        try:
            reply = await self._clients[-1].get(f"{self.base_url}/models")
        except httpx.HTTPError as error:
            await self.stop()
            why = f"{type(error).__name__} {error}".strip()
            raise EngineError(f"no server answers at {self.base_url}: {why}") from error
        if reply.status_code in (401, 403):
            await self.stop()
            raise self._locked_out(reply)
        if reply.is_success and (served := names(reply)) and self.model not in served:
            await self.stop()
            near = get_close_matches(self.model, served) or sorted(served)[:5]
            raise EngineError(f"{self.base_url} serves no '{self.model}'; did you mean {near}?")

    def _locked_out(self, reply: httpx.Response) -> RequirementError:
        has = f"the key in {self.api_key_env} is refused" if self.api_key_env else "it wants a key"
        return RequirementError(
            f"{self.base_url} answered {reply.status_code}: {has}; set api_key_env to the name of "
            "the variable that holds a valid one"
        )

    async def stop(self) -> None:
        """Close the connections."""
        clients, self._clients = self._clients, []
        for client in clients:
            await client.aclose()

    async def generate(self, request: Generate) -> Completion:
        """Write one text."""
        how = request.sampling
        asked: dict[str, Any] = {"temperature": how.temperature, "top_p": how.top_p}
        asked["max_tokens"] = how.max_tokens
        if how.stop:
            asked["stop"] = list(how.stop)
        if request.draw is not None:
            asked["seed"] = request.draw % 2**31  # some servers take 32 bits and no sign
        if shape := request.schema if self.response_format else "":
            asked["response_format"] = response_format(shape)
        reply = await self._shaped(request, asked)
        made, used = first(reply), reply.get("usage") or {}
        said = made if isinstance(request.prompt, str) else made.get("message") or {}
        return Completion(
            unwrapped(said.get("text" if said is made else "content") or "", shape),
            ended(self.base_url, made),
            used.get("prompt_tokens") or 0,
            used.get("completion_tokens") or 0,
            reply.get("model") or self.model,
            self.revision,
        )

    see = generate

    async def _shaped(self, request: Generate, asked: dict[str, Any]) -> dict[str, Any]:
        """Ask; a server that takes a schema of no row ends the run.

        A refusal is about the schema when no reply was ever held to it and the same prompt is taken
        without it. Any other is the row's own.
        """
        key, prompt = request.key(self.identity), with_images(request)
        try:
            reply = await self._ask(prompt, asked, key)
        except EngineRefused as error:
            if "response_format" not in asked or request.schema in self._held:
                raise
            plain = {name: value for name, value in asked.items() if name != "response_format"}
            await self._ask(prompt, plain | {"max_tokens": 1}, key)
            raise RequirementError(
                f"{error}; it does not hold a reply to this JSON schema: use a server that does, "
                "such as vLLM, or set response_format=false and replies are only read by it"
            ) from error
        self._held.add(request.schema)
        return reply

    async def choice(self, request: Choice) -> Probs:
        """Judge by one token: the labels' shares among the alternatives that the server gives."""
        chat = not isinstance(request.prompt, str)
        wanted: dict[str, Any] = {"logprobs": True, "top_logprobs": self.top_logprobs}
        asked = wanted if chat else {"logprobs": self.top_logprobs}
        asked |= {"max_tokens": 1, "temperature": 0.0}
        reply = await self._ask(request.prompt, asked, request.key(self.identity))
        made = first(reply)
        given = made.get("logprobs")
        if not given and made.get("finish_reason") == FILTERED:
            raise EngineRefused(f"{self.base_url} filtered the prompt of a judge")
        if not given:
            raise EngineError(f"{self.base_url} gives no logprobs, so it cannot judge by a token")
        tops = likeliest(self.base_url, given, chat=chat)
        sums = dict.fromkeys(request.labels, 0.0)
        for token, logprob in tops.items():
            if token.strip() in sums:
                sums[token.strip()] += math.exp(logprob)
        mass = math.fsum(sums.values())
        if mass <= 0:
            seen = sorted(tops, key=tops.__getitem__, reverse=True)[:5]
            raise EngineError(
                f"none of {list(request.labels)} is among the {len(tops)} likeliest tokens; "
                f"the likeliest are {seen}"
            )
        used = reply.get("usage") or {}
        shares = {label: p / mass for label, p in sums.items()}
        return Probs(shares, min(1.0, mass), used.get("prompt_tokens") or 0)

    async def _ask(self, prompt: Prompt, asked: dict[str, Any], key: str) -> dict[str, Any]:
        """Post, and post again with growing waits while the server is busy, away or not to be read.

        The answer's key goes along as X-Request-Id: the server's log then names what `trace` shows.
        """
        import httpx

        await self.start()
        chat = not isinstance(prompt, str)
        url = f"{self.base_url}/{'chat/completions' if chat else 'completions'}"
        body = {"model": self.model, "messages" if chat else "prompt": prompt, **asked}
        why = ""
        for attempt in range(self.attempts):
            if attempt:
                self._tell(attempt, why)
                await asyncio.sleep(min(60.0, self.backoff_s * 2 ** (attempt - 1)))
            try:
                reply = await self._post(url, body, key)
                if reply.status_code in (401, 403):
                    raise self._locked_out(reply)
                if reply.status_code not in AGAIN:
                    return read_reply(url, reply)
                why = f"status {reply.status_code}"
            except httpx.ReadTimeout:
                why = f"it took the request and said nothing for timeout_s={self.timeout_s:g}"
            except httpx.HTTPError as error:
                why = f"{type(error).__name__} {error}".strip()
            except EngineRefused:
                raise
            except EngineError as error:  # no answer: a page of something in between, or half of it
                why = str(error).removeprefix(f"{url} ")
        raise EngineExhausted(f"{url} did not answer in {self.attempts} attempts: {why}")

    def _tell(self, posts: int, why: str) -> None:
        """Say that a request is posted again, unless another one has just said so."""
        if (now := time.monotonic()) >= self._quiet_until:
            self._quiet_until = now + TELL_S
            log.warning("server=%s posts=%d of=%d why=%s", self.base_url, posts, self.attempts, why)

    async def _post(self, url: str, body: dict[str, Any], key: str) -> httpx.Response:
        """Post as soon as a client is free."""
        client: httpx.AsyncClient = await (free := self._free).get()  # a stop makes another
        try:
            return await client.post(url, json=body, headers={"X-Request-Id": key})
        finally:
            free.put_nowait(client)
