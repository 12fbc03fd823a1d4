"""A scripted model behind an OpenAI-compatible server, in a process that no kill reaches.

Usage: python tools/scripted_server.py LOG DELAY_S, prints its port. Every answered request is a
line of LOG: the key that the client gave it, under which the client stores the answer. So the
log is the judge of what was paid for twice.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from typing import Any

EVOLVE = re.compile(r"(?s).*### Base instruction\n(.*)\n\n### \w+ instruction$")


def reply(prompt: str, seed: int) -> str:
    """Answer by rules: a pure function of the request, now and then a bad answer."""
    if found := EVOLVE.match(prompt):
        return "" if seed % 11 == 0 else f"{found[1]} Say why, {seed % 97} times."
    if prompt.endswith("### Same or different"):
        return "different"
    return " " if seed % 5 == 0 else f"Because it does.\n{seed % 3}"


class Server:
    """Answers one request per connection or many, after a fixed delay."""

    def __init__(self, log: str, delay_s: float) -> None:
        self.delay_s = delay_s
        self.log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak HTTP/1.1 on one connection until it ends."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                name = re.search(rb"(?i)x-request-id: *(\w+)", head)
                body = await reader.readexactly(int(length[1])) if length else b"{}"
                answer = await self.answer(json.loads(body), name[1] if name else b"none")
                data = json.dumps(answer).encode()
                kind = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
                writer.write(kind + str(len(data)).encode() + b"\r\n\r\n" + data)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the client was killed: that is what this server is for
        finally:
            writer.close()

    async def answer(self, request: dict[str, Any], key: bytes) -> dict[str, Any]:
        """Answer a chat or a plain completion."""
        await asyncio.sleep(self.delay_s)
        os.write(self.log, key + b"\n")
        messages = request.get("messages")
        prompt = messages[-1]["content"] if messages else request.get("prompt", "")
        text = reply(prompt, int(request.get("seed") or 0))
        usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(text.split())}
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
        if messages:
            choice["message"] = {"role": "assistant", "content": text}
        else:
            choice["text"] = text
        return {"id": key.decode(), "model": "scripted", "choices": [choice], "usage": usage}


async def main(log: str, delay_s: float) -> None:
    """Serve on a free port of the loopback until killed."""
    server = await asyncio.start_server(Server(log, delay_s).serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
