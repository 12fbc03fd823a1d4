"""A small server that speaks the Model Context Protocol: tests start it as a user's own."""

import os
import sys
import time
from pathlib import Path

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


if __name__ == "__main__":
    if MODE == "broken":
        sys.exit("cannot open the register with " + os.environ.get("TOWN_KEY", ""))
    if MODE == "mute":
        time.sleep(30)
    if MODE == "http":
        server.run("streamable-http", port=int(sys.argv[3]))
    else:
        server.run("stdio")
