"""Tools as ToolBench has them: records of APIs, alone or in the list of a request.

Source: Qin et al., "ToolLLM: Facilitating Large Language Models to Master 16000+ Real-world APIs",
arXiv:2307.16789, section 2.1; `OpenBMB/ToolBench` (Apache-2.0) for names and types.
Differs from the code: any other type than NUMBER and BOOLEAN is a text, small letters or not; an
example of an answer, where there is one, becomes the schema of what is answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gristmill.text.json_values import problem
from gristmill.text.openapi import MAX_TOLD, cut, free, function_name
from gristmill.text.simulated_api import Endpoint

KINDS = {"NUMBER": "integer", "BOOLEAN": "boolean"}
MAX_DEPTH = 8
"""Of an example that becomes a schema."""
NAMED = {
    "str": "string", "int": "integer", "float": "number", "bool": "boolean", "NoneType": "null"
}  # fmt: skip
"""Types as examples name them."""
LENGTH = "_list_length"
"""A key that says how long the list around it was."""


def recorded(document: Any) -> dict[tuple[str, str], list[Endpoint]]:
    """Return operations by their tool's name and category; none where there are no such records.

    A document is one tool (`tool_name`, `api_list`) or a list of requests that have an `api_list`.
    """
    found: dict[tuple[str, str], dict[str, Endpoint]] = {}
    seen = set[tuple[str, str]]()
    for tool, category, one in _records(document):
        label = str(one.get("api_name") or one.get("name") or "api")
        if (tool, label) not in seen:
            seen.add((tool, label))
            mine = found.setdefault((tool, category), {})
            name = free(function_name(label, tool), mine)
            mine[name] = _endpoint(name, tool, label, one)
    return {key: list(some.values()) for key, some in found.items()}


def _records(document: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for row in document if isinstance(document, list) else [document]:
        apis = row.get("api_list") if isinstance(row, dict) else None
        for one in apis if isinstance(apis, list) else []:
            if isinstance(one, dict) and (tool := one.get("tool_name") or row.get("tool_name")):
                about = one.get("tool_description") or row.get("tool_description") or ""
                yield str(tool), str(one.get("category_name") or ""), {**one, "about": about}


def _endpoint(name: str, tool: str, label: str, one: dict[str, Any]) -> Endpoint:
    properties, required = dict[str, Any](), list[str]()
    for kind in ("required_parameters", "optional_parameters"):
        listed = one.get(kind)
        for told in filter(_is_named, listed if isinstance(listed, list) else []):
            said, value = cut(told.get("description") or ""), told.get("default")
            typed = {"type": KINDS.get(str(told.get("type")).upper(), "string")}
            is_one = value not in (None, "") and problem(typed, value) is None
            more = {"description": said or None, "default": value if is_one else None}
            known = {key: one for key, one in more.items() if one is not None}
            properties[str(told["name"])] = {**typed, **known}
            required += [str(told["name"])] if kind == "required_parameters" else []
    returns, about = one.get("template_response"), cut(one["about"], MAX_TOLD)
    made = Endpoint(
        name=name,
        tool=tool,
        method=str(one.get("method") or "GET").lower(),
        path=f"/{name}",
        description=cut(one.get("api_description") or one.get("description") or label),
        parameters={
            "type": "object", "properties": properties, "required": [*dict.fromkeys(required)],
            "additionalProperties": False,
        },
        returns=_schema(returns) if returns else None,
        status=200,
    )  # fmt: skip
    return {**made, "about": about} if about else made


def _is_named(told: Any) -> bool:
    return isinstance(told, dict) and "name" in told


def _schema(example: Any, depth: int = 0) -> dict[str, Any]:
    """Return the schema of an example whose leaves name types, or are values of them."""
    if depth > MAX_DEPTH:
        return {}
    if isinstance(example, dict):
        parts = {str(name): one for name, one in example.items() if name != LENGTH}
        inner = {name: _schema(one, depth + 1) for name, one in parts.items()}
        return {"type": "object", "properties": inner, "required": list(inner)}
    if isinstance(example, list):
        return {"type": "array", "items": _schema(example[0], depth + 1) if example else {}}
    named = example if example in NAMED else type(example).__name__
    return {"type": NAMED[named]} if named in NAMED else {}
