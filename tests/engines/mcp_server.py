"""A small server that speaks the Model Context Protocol: tests start it as a user's own."""

import os
import sys
import time
from pathlib import Path

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

MODE = sys.argv[1] if len(sys.argv) > 1 else ""
LOG = Path(sys.argv[2]) if len(sys.argv) > 2 else None
server = MCPServer("Town", version="2" if MODE == "newer" else "1.4")


def note(text: str) -> None:
    """Write down a call."""
    if LOG:
        with LOG.open("a") as file:
            file.write(text + "\n")


@server.tool()
def find_pool(district: str, limit: int = 2) -> list[dict[str, object]]:
    """Find swimming pools in a district."""
    note(f"find_pool {district}")
    if district == "secret":
        return [{"name": os.environ["TOWN_KEY"]}]
    if district == "gone":
        os._exit(1)
    if district == "noise":
        os.write(1, b"this is no JSON\n")
    return [{"id": i, "name": f"{district} {i}"} for i in range(limit)]


@server.tool()
def book(pool: int) -> str:
    """Book a lane."""
    note(f"book {pool}")
    if pool == 7:
        time.sleep(20)
    if pool < 0:
        raise ToolError(f"no pool {pool}")
    return f"booked {pool}"


app = server.streamable_http_app()


async def guarded(scope, receive, send) -> None:
    """Answer 401 to whoever has no key, and 503 where a file says so."""
    given = dict(scope.get("headers") or ()).get(b"authorization")
    if scope["type"] == "http" and LOG and LOG.with_name("down").exists():
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b""})
    elif scope["type"] == "http" and given != f"Bearer {os.environ['TOWN_KEY']}".encode():
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b""})
    else:
        await app(scope, receive, send)


if __name__ == "__main__":
    if MODE == "broken":
        sys.exit("cannot open the register with " + os.environ.get("TOWN_KEY", ""))
    if MODE == "mute":
        time.sleep(30)
    if MODE == "http":
        uvicorn.run(guarded, port=int(sys.argv[3]), log_level="warning")
    else:
        server.run("stdio")
