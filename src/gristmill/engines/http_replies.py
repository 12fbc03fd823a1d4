"""What an OpenAI-compatible server said: its answer, or the error that fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

from pydantic import BaseModel, Field, ValidationError

from gristmill.engines.requests import Finish
from gristmill.errors import EngineError, EngineRefused, PromptRefused, PromptTooLong

if TYPE_CHECKING:
    import httpx

TOO_LONG = (
    "context_length",
    "context length",
    "maximum model length",
    "max_model_len",
    "too long",
    "too many tokens",
    "maximum input length",
)
"""What servers say when a prompt does not fit; each has its own words for it."""
NO_TEMPLATE = ("chat template", "conversation roles", "role not supported", "roles are supported")
"""What chat templates say of turns that they cannot write, and servers repeat."""
UNSET = ("provide a chat template", "chat_template is not set", "no chat template",
         "not have a chat template")  # fmt: skip
"""What they say of a model that has none: no fault of a row's turns."""
FILTERED = "content_filter"
BROKEN_OFF = (None, "abort", "error")
"""Ends of an answer that asking again may change."""
HIDDEN = "***"


class Usage(BaseModel, extra="allow"):
    """What an answer cost, in tokens."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Message(BaseModel, extra="allow"):
    """What was said in a chat."""

    content: str | None = None


class Made(BaseModel, extra="allow"):
    """One answer: a message in a chat, else a text."""

    message: Message | None = None
    text: str | None = None
    finish_reason: str | None = None


class Reply(BaseModel, extra="allow"):
    """The body, as far as it is read; whatever else it holds stays in it."""

    choices: list[Made] | None = None
    usage: Usage | None = None
    model: str | None = None


LogProb = Annotated[float, Field(le=0.01, allow_inf_nan=False)]
"""The logarithm of a probability, rounded by whoever sends it."""


class Top(BaseModel):
    """A token that might have come, in a chat."""

    token: str
    logprob: LogProb


class Tops(BaseModel):
    """The alternatives at one place of a chat's answer."""

    top_logprobs: list[Top]


class ChatLogProbs(BaseModel):
    """The log-probs of a chat's answer: at least those of its first token."""

    content: list[Tops] = Field(min_length=1)


class TextLogProbs(BaseModel):
    """The log-probs of a continuation: at least those of its first token."""

    top_logprobs: list[dict[str, LogProb]] = Field(min_length=1)


def read_reply(url: str, reply: httpx.Response) -> dict[str, Any]:
    """Return the body of an answer; a refusal becomes the error that fits.

    A server may repeat the key that it was sent: that is taken out before anybody reads on.
    """
    key = reply.request.headers.get("Authorization", "").removeprefix("Bearer ")
    if reply.is_success:
        body = reply.content.replace(key.encode(), HIDDEN.encode()) if key else reply.content
        try:
            return Reply.model_validate_json(body).model_dump(exclude_unset=True)
        except ValidationError as error:
            wrong = error.errors()[0]
            where = ".".join(map(str, wrong["loc"]))
            what = f"another form: {where} {wrong['msg']}" if where else "no JSON object"
            raise EngineError(f"{url} answered with {what}") from error
    said = (reply.text.replace(key, HIDDEN) if key else reply.text)[:500]
    if reply.status_code == 400 and FILTERED in said:
        return {"choices": [{"finish_reason": FILTERED}]}
    if reply.status_code in (400, 413, 422) and any(words in said.lower() for words in TOO_LONG):
        raise PromptTooLong(f"{url} refused the prompt: {said}")
    is_unset = any(words in said.lower() for words in UNSET)
    is_refused = any(words in said.lower() for words in NO_TEMPLATE) and not is_unset
    if reply.status_code in (400, 422) and is_refused:
        raise PromptRefused(f"{url} refused the conversation: {said}")
    raise EngineRefused(f"{url} answered {reply.status_code}: {said}")


def ended(url: str, made: dict[str, Any]) -> Finish:
    """Return how a text ended; a server that gave up may be asked again, no other."""
    reason = made.get("finish_reason")
    if reason == "function_call":
        return "tool_calls"  # its older name
    if reason in get_args(Finish):
        return cast("Finish", reason)
    told = f"{url} ended an answer by {reason!r}"
    if reason in BROKEN_OFF:
        raise EngineError(told)
    raise EngineRefused(f"{told}, which is none of {list(get_args(Finish))}")


def likeliest(url: str, given: Any, *, chat: bool) -> dict[str, float]:
    """Return the log-probs of the first token's alternatives; a chat says them in its own form.

    Raises:
        EngineError: They are not there, or no log-probs.
    """
    try:
        if chat:
            made = ChatLogProbs.model_validate(given).content[0]
            return {top.token: top.logprob for top in made.top_logprobs}
        return TextLogProbs.model_validate(given).top_logprobs[0]
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(map(str, wrong["loc"]))
        told = f"logprobs of another form: {where} {wrong['msg']}"
        raise EngineError(f"{url} answered with {told}") from error


def names(reply: httpx.Response) -> list[str]:
    """Return the models that a server lists; nothing when it says something else."""
    try:
        return [str(model["id"]) for model in reply.json()["data"]]
    except (ValueError, KeyError, TypeError):
        return []


def first(reply: dict[str, Any]) -> dict[str, Any]:
    """Return the first of the answers in a body."""
    choices = reply.get("choices")
    if not choices:
        raise EngineError(f"an answer without choices: {str(reply)[:300]}")
    return dict(choices[0])
