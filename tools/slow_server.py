"""A model server that only waits, how any server is started, and how many requests one held.

Usage: python tools/slow_server.py PORT
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gristmill.engines.vllm_start import QUIET

MEDIAN_S, SIGMA, BUSY_RATE = 0.5, 0.7, 0.01
"""Of the delays: their median, the deviation of their logarithm; how often the server is busy."""

HELD = r"(?m)^vllm:num_requests_(?:running|waiting)\{.* (\S+)$"
"""What vLLM counts of requests that have no answer yet."""


class Slow:
    """A server that only waits: any chat gets an answer made of its own text."""

    def __init__(self) -> None:
        self.inside, self.log = 0, list[tuple[float, int]]()
        self._busy = random.Random(3)

    async def serve(self, port: int) -> None:
        """Answer until the process ends."""
        server = await asyncio.start_server(self._talk, "127.0.0.1", port, backlog=4096)
        async with server:
            await server.serve_forever()

    async def _talk(self, reader: Any, writer: Any) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = next((x for x in head.split("\r\n") if "content-length:" in x), ":0")
                body = await reader.readexactly(int(length.split(":")[1]))
                status, said = await self._answer(head.split()[1], body)
                made = json.dumps(said).encode()
                top = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
                writer.write(f"{top}content-length: {len(made)}\r\n\r\n".encode() + made)
                await writer.drain()

    async def _answer(self, path: str, body: bytes) -> tuple[str, Any]:
        if path == "/log":
            log, self.log = self.log, []
            return "200 OK", log
        if not path.endswith("/chat/completions"):
            return "200 OK", {"object": "list", "data": [{"id": "slow", "object": "model"}]}
        if self._busy.random() < BUSY_RATE:
            return "503 Busy", {"error": {"message": "busy"}}
        asked = json.loads(body)
        rng = random.Random(repr(asked["messages"]))
        self._count(1)
        await asyncio.sleep(rng.lognormvariate(math.log(MEDIAN_S), SIGMA))
        self._count(-1)
        text = f"Variant {rng.randrange(10**9)} of it, please."
        choice = {"index": 0, "finish_reason": "stop"}
        choice["message"] = {"role": "assistant", "content": text}  # type: ignore[assignment]
        used = {"prompt_tokens": 20, "completion_tokens": 8, "total_tokens": 28}
        made = {"id": "x", "object": "chat.completion", "created": 0, "model": "slow"}
        return "200 OK", {**made, "choices": [choice], "usage": used}

    def _count(self, change: int) -> None:
        self.inside += change
        self.log.append((time.monotonic(), self.inside))


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def server(command: list[str], port: int, path: str, limit_s: float = 200.0) -> Iterator[str]:
    """Run a server until the body ends; it is up when it answers at `path`."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, start_new_session=True, env={**os.environ, **QUIET}
    ) as process:
        try:
            until = time.monotonic() + limit_s
            while True:
                with suppress(OSError):
                    get(f"http://127.0.0.1:{port}{path}")
                    break
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"the server did not start: {' '.join(command)}")
                time.sleep(0.3)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def get(url: str) -> str:
    """Return what is at an address of this machine."""
    with urllib.request.urlopen(url, timeout=5) as found:
        text: str = found.read().decode()
        return text


@contextmanager
def watching(url: str, every_s: float = 0.25) -> Iterator[Callable[[], list[tuple[float, int]]]]:
    """Look at a vLLM server's own count until the body ends; yield what takes the looks so far."""
    log, is_over = list[tuple[float, int]](), threading.Event()

    def look() -> None:
        while not is_over.wait(every_s):
            with suppress(OSError):  # too busy to tell
                held = re.findall(
                    r"(?m)^vllm:num_requests_(?:running|waiting)\{.* (\S+)$", get(url)
                )
                log.append((time.monotonic(), round(sum(map(float, held)))))

    def take() -> list[tuple[float, int]]:
        taken = log[:]
        del log[: len(taken)]
        return taken

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield take
    finally:
        is_over.set()
        watcher.join()


def in_flight(log: list[tuple[float, int]]) -> dict[str, Any]:
    """Return the mean over time of the requests in flight, and in each tenth of the time."""
    if len(log) < 2:
        return {}
    first, last = log[0][0], log[-1][0]
    tenths = [0.0] * 10
    for (start, n), (end, _) in itertools.pairwise(log):
        for i in range(10):
            low, high = (first + (last - first) * x / 10 for x in (i, i + 1))
            tenths[i] += n * max(0.0, min(end, high) - max(start, low))
    width = max(1e-9, (last - first) / 10)
    return {
        "mean_in_flight": round(sum(tenths) / width / 10, 1),
        "in_flight_by_tenth": [round(tenth / width, 1) for tenth in tenths],
    }


if __name__ == "__main__":
    asyncio.run(Slow().serve(int(sys.argv[1])))
