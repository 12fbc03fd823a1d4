"""The sandbox in a process of its own, for as long as its owner's end of a socket is open.

`owner.py` starts it by exec and is the owner. Every message is a length and a body. What the owner
says is marshal: plain values, and it is trusted. What goes back names hostile text, so it is JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
from contextlib import suppress
from marshal import loads
from typing import Any

from gristmill.engines.host import Outcome, outcome
from gristmill.engines.sandbox.pool import Sandbox
from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.errors import EngineRefused

MAX_BYTES = 1 << 28
"""Length of a message at most."""
BEAT_S = 1.0
"""How often this process says that it is there."""
ENDING_S = 2.0
"""How long slots may take to be given back; what is left then dies with this process."""


def framed(body: bytes) -> bytes:
    """Return a message as it is written; raises EngineRefused when it is too long."""
    if len(body) > MAX_BYTES:
        raise EngineRefused(f"a program of {len(body)} bytes, at most {MAX_BYTES}")
    return len(body).to_bytes(4) + body


async def receive(reader: asyncio.StreamReader) -> bytes:
    """Return the next message; raises EOFError or OSError when the other side has gone."""
    length = int.from_bytes(await reader.readexactly(4))
    if length > MAX_BYTES:
        raise EOFError(f"a message of {length} bytes, at most {MAX_BYTES}")
    return await reader.readexactly(length)


class Server:
    """Judges the programs of one owner, all that it sends at the same time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.under_way: dict[int, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Start the sandbox, say how many slots it has, then answer until the owner has gone."""
        sandbox = Sandbox(**loads(await receive(self.reader)))
        name, why = await outcome(sandbox.start())
        self.tell(sandbox.workers, (name, why or ""))
        beating = asyncio.create_task(self.beat())
        try:
            with suppress(EOFError, OSError):
                while True:
                    self.take(sandbox, *loads(await receive(self.reader)))
        finally:
            beating.cancel()
            end_after(ENDING_S)
            await sandbox.stop()

    async def beat(self) -> None:
        """Say something that no program waits for, for as long as this loop runs."""
        while True:
            await asyncio.sleep(BEAT_S)
            self.tell(-1, ("ok", None))

    def take(self, sandbox: Sandbox, number: int, fields: dict[str, Any] | None) -> None:
        """Begin with a program, or give one up."""
        if fields is not None:
            task = asyncio.create_task(self.answer(sandbox, number, fields))
            self.under_way[number] = task
            task.add_done_callback(lambda _: self.under_way.pop(number))
        elif number in self.under_way:
            self.under_way[number].cancel()

    async def answer(self, sandbox: Sandbox, number: int, fields: dict[str, Any]) -> None:
        """Judge one program."""

        async def judged() -> Verdict:
            return await sandbox.run(Program(**fields))

        name, told = await outcome(judged())
        self.tell(number, (name, told.pack().decode() if name == "ok" else told))

    def tell(self, number: int, made: Outcome) -> None:
        """Send a number with what came of it; the owner bounds how much can be waiting here."""
        self.writer.write(framed(json.dumps([number, *made]).encode()))


def end_after(wait_s: float) -> None:
    """End this process hard if it is still there after a while."""
    timer = threading.Timer(wait_s, os._exit, [1])
    timer.daemon = True
    timer.start()


async def main(fd: int) -> None:
    """Serve the owner at the other end of an open socket."""
    os.set_inheritable(fd, False)
    await Server(*await asyncio.open_unix_connection(sock=socket.socket(fileno=fd))).serve()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
