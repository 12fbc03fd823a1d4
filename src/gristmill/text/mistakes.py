"""What pydantic found wrong with a recipe or a parameter, in words that name the fix."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError

MAX_SHOWN = 80
"""Characters of a wrong value that an error message shows."""
WRITTEN = {
    "seeds": "{path: rows.jsonl}",
    "engines": "{ROLE: {use: vllm, model: NAME}}",
    "stages": "[{use: filters.length}]",
}
"""What a part of a recipe looks like that people write in a shorter way."""
SHAPES = ("dict_type", "list_type", "model_type")
UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


def explain(error: ValidationError, fields: Mapping[str, Any]) -> str:
    """Say where, what was found and what was expected; `fields` are those of the model."""
    return "; ".join(_worded(dict(mistake), fields) for mistake in error.errors())


def told(error: Exception) -> str:
    """Say what another program's check found, without the values that pydantic shows with it."""
    if not isinstance(error, ValidationError):
        return str(error)
    mistakes = ((".".join(map(str, x["loc"])), x["msg"]) for x in error.errors())
    return "; ".join(
        ": ".join(filter(None, (where, text.removeprefix("Value error, "))))
        for where, text in mistakes
    )


def _worded(mistake: dict[str, Any], fields: Mapping[str, Any]) -> str:
    *outer, last = mistake["loc"] or ("(top)",)
    where = ".".join(map(str, (*outer, last)))
    if mistake["type"] in UNKNOWN:
        # The value is not shown: it may be a secret under a mistyped name.
        names = sorted(_inside(fields, outer))
        near = get_close_matches(str(last), names, n=1) or names
        return f"there is no '{where}'; " + (
            f"did you mean {near}?" if near else "nothing can be set here"
        )
    if mistake["type"] in ("missing", "missing_argument"):
        return f"'{where}' is missing"
    if mistake["type"] == "private":  # a field that people put secrets into by mistake
        return f"{where}: {mistake['msg']}"
    found = repr(mistake["input"])
    found = found if len(found) <= MAX_SHOWN else found[:MAX_SHOWN] + "..."
    top = where.partition(".")[0]
    if mistake["type"] in SHAPES and top in WRITTEN:
        return f"{where}: write it as `{top}: {WRITTEN[top]}`, found {found}"
    return f"{where}: {mistake['msg']}, found {found}"


def _inside(fields: Mapping[str, Any], path: list[Any]) -> Mapping[str, Any]:
    """Return the fields of the model that a path leads to; none where it leads elsewhere."""
    for part in path:
        hint = getattr(fields.get(part), "annotation", None)
        kinds = (_fields(kind) for kind in (hint, *get_args(hint)))
        fields = next(filter(None, kinds), {})
    return fields


def _fields(kind: Any) -> Mapping[str, Any]:
    found = getattr(kind, "model_fields", None) or getattr(kind, "__dataclass_fields__", {})
    return dict(found)
