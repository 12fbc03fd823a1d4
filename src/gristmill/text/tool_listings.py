"""Tools that an MCP server has listed, as functions that a model can call.

A listing is the file that `build-dataset tools` writes: `info` with title and version, `tools` as
the protocol has them (name, description, inputSchema, outputSchema).
"""

from __future__ import annotations

from typing import Any

from gristmill.text.openapi import NotOpenApi, Reader, cut, free, function_name
from gristmill.text.simulated_api import Endpoint

METHOD = "mcp"
"""Where an operation of an API has its verb."""


def listed(document: Any) -> list[Endpoint]:
    """Return the tools of a listing, each under a name of its own; `path` is the server's name.

    Raises:
        NotOpenApi: it has none.
    """
    info = document.get("info")
    tool = str((info if isinstance(info, dict) else {}).get("title") or "server")
    tools = document.get("tools")
    found: dict[str, Endpoint] = {}
    for one in tools if isinstance(tools, list) else []:
        if isinstance(one, dict) and isinstance(one.get("name"), str):
            name = free(function_name(one["name"], tool), found)
            found[name] = _endpoint(name, tool, one)
    if not found:
        raise NotOpenApi("its `tools` name none")
    return list(found.values())


def _endpoint(name: str, tool: str, one: dict[str, Any]) -> Endpoint:
    asked, returns = one.get("inputSchema"), one.get("outputSchema")
    schema = Reader(asked).schema(asked) if isinstance(asked, dict) else {}
    return Endpoint(
        name=name,
        tool=tool,
        method=METHOD,
        path=one["name"],
        description=cut(one.get("description") or one.get("title") or one["name"]),
        parameters={"properties": {}, "required": [], **schema, "type": "object"},
        returns=Reader(returns).schema(returns) if isinstance(returns, dict) else None,
        status=200,
    )
