"""tools: what a server that speaks the Model Context Protocol can do, written down for recipes."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from pydantic import ValidationError

from gristmill.commands.screen import Screen
from gristmill.engines.mcp_session import Server, Session
from gristmill.errors import InputError, RecipeError
from gristmill.storage.shards import write_text
from gristmill.text.mistakes import explain
from gristmill.text.openapi import NotOpenApi
from gristmill.text.tool_listings import listed


def do_tools(args: argparse.Namespace, screen: Screen) -> int:
    """Start it, list, and end it; nothing of it is called."""
    words = args.server[1:] if args.server[:1] == ["--"] else args.server
    try:
        server = Server(
            command=tuple(words), url=args.url, env=tuple(args.env), token_env=args.token_env
        )
    except ValidationError as error:
        raise RecipeError(f"tools: {explain(error, Server.model_fields)}") from error
    found = asyncio.run(_listing(server))
    try:
        functions = listed(found)
    except NotOpenApi as error:
        raise InputError(f"the server has no tools: {error}") from error
    write_text(args.file, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    told = {**found["info"], "tools": len(functions), "file": str(args.file)}
    if args.json:
        screen.result(told)
    screen.table(["function", "tool"], [(one["name"], one["path"]) for one in functions])
    screen.hint(f"in a recipe: engines.tools: {{use: mcp, listing: {args.file}, ...}}")
    return 0


async def _listing(server: Server) -> dict[str, Any]:
    session = Session(server)
    await session.open()
    await session.close()
    return session.listing
