"""The process that has the slots of a machine, and its owner, who keeps it running.

A Ray worker has threads, sockets and shared memory, and Ray ends it by SIGKILL: nothing is forked
from it, and no run hangs on one of its threads. The process of `serve.py` is started by exec with
one end of a socket and lives as long as the other end is open.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import fields
from marshal import dumps
from pathlib import Path
from typing import Any

from gristmill.engines.host import result
from gristmill.engines.sandbox import serve
from gristmill.engines.sandbox.endings import ending
from gristmill.engines.sandbox.packages import INSTALL_S
from gristmill.engines.sandbox.pool import ATTEMPTS, Sandbox
from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.errors import EngineError, EngineLost, GristmillError

log = logging.getLogger(__name__)

AHEAD = 4
"""Programs in hand per slot: one runs, the others are there when it ends."""
PATIENCE = 60
"""Beats of its pool process that may be missing in a row before it is killed."""
START_S = 120.0 + INSTALL_S
"""How long probing the machine may take, and installing the packages of a recipe's profiles."""


class Owner:
    """Keeps a pool process running, and no more programs in it than it has use for."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.config = sandbox.model_dump(exclude_unset=True)
        self.slots = 0
        self.pool: Pool | None = None
        self.starting = asyncio.Lock()

    async def start(self) -> None:
        """Start the process, and learn how many slots it has."""
        self.slots = (await self.running()).slots
        self.room = asyncio.Semaphore(AHEAD * self.slots)

    async def stop(self) -> None:
        """End the process."""
        if self.pool:
            await self.pool.close()

    async def run(self, program: Program) -> Verdict:
        """Return a verdict; a process that dies meanwhile is started again and asked again."""
        async with self.room:
            for _ in range(ATTEMPTS):
                pool = await self.running()
                try:
                    return await pool.ask(program)
                except EngineLost as error:
                    log.warning("sandbox_pool=%d %s", pool.process.pid, error)
        raise EngineError(f"the sandbox's process died under a program, {ATTEMPTS} times")

    async def running(self) -> Pool:
        """Return the process; another one where it has died."""
        async with self.starting:
            if self.pool and self.pool.is_lost:
                await self.pool.close()
                self.pool = None
            if self.pool is None:
                self.pool = await self.started()
            return self.pool

    async def started(self) -> Pool:
        """Start a process; one that dies meanwhile is started again."""
        for _ in range(ATTEMPTS):
            try:
                return await Pool.start(self.config)
            except EngineLost as error:
                lost = error
                log.warning("sandbox_pool %s", error)
        raise EngineError(f"the sandbox's process did not start, {ATTEMPTS} times: {lost}")


class Pool:
    """One pool process, and the programs that it has in hand."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.process, self.reader, self.writer = process, reader, writer
        self.slots = 0
        self.is_lost = False
        self.patience = PATIENCE
        self.heard = 0
        """Messages that came."""
        self.in_hand: dict[int, asyncio.Future[Verdict]] = {}
        self.numbers = itertools.count()
        self.listener: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, config: dict[str, Any]) -> Pool:
        """Start the process; raises what its sandbox raises, EngineLost when it dies meanwhile."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = spawn(theirs.fileno())
        pool = cls(process, *await asyncio.open_unix_connection(sock=ours))
        try:
            pool.writer.write(serve.framed(dumps(config)))
            said = await asyncio.wait_for(serve.receive(pool.reader), START_S)
            pool.slots, *made = json.loads(said)
            result((made[0], made[1]))
        except (EOFError, ConnectionError) as error:
            await pool.close()
            code = process.returncode
            how = ending(code if code >= 0 else 128 - code)
            raise EngineLost(f"it ended before it was ready, {how}") from error
        except TimeoutError as error:
            await pool.close()
            raise EngineError(f"the sandbox was not ready after {START_S:.0f} s") from error
        except BaseException:
            await pool.close()
            raise
        pool.listener = asyncio.create_task(pool.listen())
        return pool

    async def ask(self, program: Program) -> Verdict:
        """Return a verdict; given up, the program is killed. Raises EngineLost with the process."""
        if self.is_lost:
            raise EngineLost("the sandbox's process is gone")
        number = next(self.numbers)
        plain = {field.name: getattr(program, field.name) for field in fields(program)}
        message = serve.framed(dumps((number, plain)))
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self.in_hand[number] = future
        try:
            self.writer.write(message)
            return await future
        except asyncio.CancelledError:
            self.writer.write(serve.framed(dumps((number, None))))
            raise
        finally:
            self.in_hand.pop(number, None)

    async def listen(self) -> None:
        """Hand verdicts to those who wait for them, until the process has gone."""
        watcher = asyncio.create_task(self.watch())
        try:
            with suppress(EOFError, OSError):
                while True:
                    number, name, told = json.loads(await serve.receive(self.reader))
                    self.heard += 1
                    settle(self.in_hand.get(number), name, told)
        finally:
            watcher.cancel()
            self.is_lost = True
            for future in self.in_hand.values():
                if not future.done():
                    future.set_exception(EngineLost("the sandbox's process is gone"))

    async def watch(self) -> None:
        """Kill a process that hangs: from then on it is one that died.

        Beats are counted, no clock is read: where this process itself was held up, one is missing.
        """
        silent = 0
        while silent < self.patience:
            before = self.heard
            await asyncio.sleep(serve.BEAT_S)
            silent = silent + 1 if self.heard == before else 0
        log.error("sandbox_pool=%d silent_s=%d", self.process.pid, silent * serve.BEAT_S)
        self.process.kill()

    async def close(self) -> None:
        """Close our end of the socket, which ends the process; wait until it has gone."""
        self.writer.close()
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self.process.wait, serve.ENDING_S + 1)
        self.process.kill()
        await asyncio.to_thread(self.process.wait)
        if self.listener:
            await self.listener


def settle(future: asyncio.Future[Verdict] | None, name: str, told: Any) -> None:
    """Give a verdict, or the error instead of one, to whom it belongs, if anybody still waits."""
    if future is None or future.done():
        return
    try:
        future.set_result(Verdict.unpack(told) if name == "ok" else result((name, told)))
    except GristmillError as error:
        future.set_exception(error)


def spawn(fd: int) -> subprocess.Popen[bytes]:
    """Start the pool process with one open socket; what it says on stderr joins ours."""
    paths = [str(Path(path).absolute()) for path in sys.path]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", serve.__name__, str(fd)],
        pass_fds=(fd,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        start_new_session=True,
    )
