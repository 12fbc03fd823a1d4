"""The shape of a reply: how an engine is told, how a reply is read, how it is asked for again.

A shape travels as JSON text: an object is a JSON schema, a list holds the only texts allowed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gristmill.engines.requests import Message, Prompt
from gristmill.text.mistakes import explain

Schema = type[BaseModel] | Mapping[str, Any] | tuple[str, ...]
"""A pydantic model, a JSON schema, or the texts to choose from."""
Shape = TypeVar("Shape", bound=BaseModel)
ALONE = "choice"
"""The key of a choice for servers that take objects only."""


def written(schema: Schema | None) -> str:
    """Return a shape as text, "" for none; keys keep their order, as a model writes them in it."""
    if schema is None:
        return ""
    shape = schema.model_json_schema() if isinstance(schema, type) else schema
    return json.dumps(shape, ensure_ascii=False)


def read(text: str, shape: type[Shape]) -> Shape | str:
    """Return the first object in a reply, whatever stands around it, or what is wrong with it."""
    first = start = max(0, text.find("{"))
    end = len(text)
    while start >= 0:
        with suppress(ValueError, RecursionError):
            _, end = json.JSONDecoder().raw_decode(text, start)
            break
        start = text.find("{", start + 1)
    start = first if start < 0 else start
    try:
        return shape.model_validate_json(text[start:end].encode("utf-8", "replace"))
    except ValidationError as error:
        return explain(error, shape.model_fields)


def repaired(prompt: Prompt, reply: str, wrong: str) -> Prompt:
    """Return the prompt that shows a reply with what is wrong with it, and asks for another."""
    ask = f"That does not have the form that was asked for: {wrong}. Write it again as JSON alone."
    if isinstance(prompt, str):
        return f"{prompt}{reply}\n\n{ask}\n\n"
    said = Message(role="assistant", content=reply)
    return [*prompt, said, Message(role="user", content=ask)]


def response_format(schema: str) -> dict[str, Any]:
    """Return the `response_format` of an OpenAI-compatible server, which is an object always.

    Strict servers refuse objects that are open or leave keys out, as schemas of pydantic may: they
    are told to hold to those as well as they can, and whoever reads the reply checks it.
    """
    shape = json.loads(schema)
    is_choice = isinstance(shape, list)
    if is_choice:
        one = {ALONE: {"type": "string", "enum": shape}}
        shape = {"type": "object", "properties": one, "required": [ALONE]}
        shape["additionalProperties"] = False
    named = {"name": "reply", "strict": is_choice, "schema": shape}
    return {"type": "json_schema", "json_schema": named}


def unwrapped(text: str, schema: str) -> str:
    """Return a reply to `response_format` as any engine gives it: a choice stands alone."""
    if not schema.startswith("["):
        return text
    try:
        return str(json.loads(text)[ALONE])
    except (ValueError, KeyError, TypeError):
        return text  # a server that did not hold to it: whoever reads the text finds out
