"""What an OpenAI-compatible server said: its answer, or the error that fits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gristmill.errors import EngineError, EngineRefused, PromptTooLong

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
FILTERED = "content_filter"


def read_reply(url: str, reply: httpx.Response) -> dict[str, Any]:
    """Return the body of an answer; a refusal becomes the error that fits."""
    if reply.is_success:
        try:
            return dict(reply.json())
        except (json.JSONDecodeError, TypeError) as error:
            raise EngineError(f"{url} answered with something that is no JSON object") from error
    said = reply.text[:500]
    if reply.status_code == 400 and FILTERED in said:
        return {"choices": [{"finish_reason": FILTERED}]}
    if reply.status_code in (400, 413, 422) and any(words in said.lower() for words in TOO_LONG):
        raise PromptTooLong(f"{url} refused the prompt: {said}")
    raise EngineRefused(f"{url} answered {reply.status_code}: {said}")


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
