"""Drive runs on a Ray cluster, in one place after the other as stdin names them.

What `benchmarks/chaos.py` strikes. The engine is scripted and answers through a process of its own,
as vLLM does.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any, ClassVar

from pydantic import PrivateAttr

from gristmill.engines.base import Engine
from gristmill.engines.remote import Remote
from gristmill.engines.requests import Completion, Generate, Op
from gristmill.engines.sandbox import Sandbox
from gristmill.engines.sandbox.node import NodeSandbox
from gristmill.errors import EngineLost
from gristmill.pipelines import Recipe, run
from gristmill.pipelines.runners import RayRunner

SEEDS, PER_SEED, REPLICAS, WINDOW = 60, 2, 2, 8
GONE = "the engine's process is gone"
STAGES: list[dict[str, Any]] = [
    {"use": "generators.responses", "n": PER_SEED},
    {"use": "verifiers.unit_tests", "tests": "tests"},
    {"use": "filters.verdict", "of": "unit_tests"},
]


class Victim(Engine):
    """Answers through a process of its own, as vLLM does; odd draws write wrong programs."""

    ops: ClassVar[frozenset[Op]] = frozenset({"generate"})
    hosted: ClassVar[bool] = True
    window: int = WINDOW
    replicas: int = REPLICAS
    folder: Path
    """Gets `calls`, a line per answer; a file `memory` makes the next request run out of it."""
    delay_s: float = 0.1
    silence_s: float = 2.0
    """Without a word for so long, the process hangs."""

    _process: Any = PrivateAttr(default=None)
    _waiting: dict[str, asyncio.Future[None]] = PrivateAttr(default_factory=dict)
    _reader: Any = PrivateAttr(default=None)

    @property
    def identity(self) -> str:
        """Name it."""
        return "victim"

    async def start(self) -> None:
        """Start the process."""
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec("cat", "-u", stdin=pipe, stdout=pipe)
        self._reader = asyncio.create_task(self._read())

    async def stop(self) -> None:
        """End the process."""
        self._reader.cancel()
        self._process.kill()
        await self._process.wait()

    async def generate(self, request: Generate) -> Completion:
        """Write one program once the process has said its word."""
        try:
            (self.folder / "memory").unlink()
        except FileNotFoundError:
            await self._word(request)
        else:
            raise EngineLost("CUDA out of memory")
        topic = request.prompt[-1]["content"].split()[-1]  # type: ignore[index, union-attr]
        right = (request.draw or 0) % 2
        text = f"```python\ndef f():\n    return {topic if right else -1}\n```"
        with (self.folder / "calls").open("a") as calls:
            calls.write(request.key(self.identity) + "\n")
        return Completion(text, "stop", 10, 10, "victim")

    async def _word(self, request: Generate) -> None:
        key = request.key(self.identity)
        waits = self._waiting[key] = asyncio.get_running_loop().create_future()
        await asyncio.sleep(self.delay_s)
        if self._process.stdin.is_closing():
            raise EngineLost(GONE)
        self._process.stdin.write(f"{key}\n".encode())
        try:
            await asyncio.wait_for(waits, self.silence_s)
        except TimeoutError as error:
            raise EngineLost(f"no word for {self.silence_s} s") from error

    async def _read(self) -> None:
        while line := await self._process.stdout.readline():
            if not (waits := self._waiting.pop(line.decode().strip())).done():
                waits.set_result(None)
        for waits in self._waiting.values():
            if not waits.done():
                waits.set_exception(EngineLost(GONE))


class Watched(NodeSandbox):
    """Is given up sooner than a sandbox that may be short of time: every stop waits for this."""

    silence_s: float = 15.0


class Kept(Remote):
    """Outlives a run: the next one, in another event loop, goes on with its actors."""

    async def start(self) -> None:
        """Go on, or start."""
        if self._pool:
            self._pool.resume()
        await super().start()

    async def stop(self) -> None:
        """Let the actors be, once those that are being replaced are back."""
        if self._pool:
            while not all(r.is_ready or r.is_given_up for r in self._pool.replicas):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            await self._pool.pause()


def drive(folder: Path, address: str) -> None:
    """Be a driver: run the recipe in one place after the other, as they are told."""
    logging.basicConfig(level="WARNING", format="%(asctime)s %(name)s %(message)s")
    export = {"card": False, "report": False}
    recipe = Recipe(name="chaos", seed=1, stages=STAGES, max_error_rate=0, export=export)
    seeds = [
        {"instruction": f"Write f() that returns {i}", "tests": f"assert f() == {i}"}
        for i in range(SEEDS)
    ]
    hosted = {"generator": Victim(folder=folder), "sandbox": Watched.of(Sandbox(workers=1))}
    engines = {role: Kept(engine=engine, address=address) for role, engine in hosted.items()}
    for line in sys.stdin:
        place = Path(line.strip())
        runner = RayRunner(1, address, rows_per_shard=6, in_flight=6, silence_s=10)
        runner.wake()
        run(recipe, seeds, engines, runner, place)
        (place / "done").touch()
