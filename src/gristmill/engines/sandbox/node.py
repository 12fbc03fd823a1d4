"""The sandbox of one machine of a cluster: a Ray actor owns the process that has the slots.

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
from functools import cache
from marshal import dumps
from pathlib import Path
from typing import Any, ClassVar

from pydantic import PrivateAttr

from gristmill.engines.base import Engine
from gristmill.engines.host import result
from gristmill.engines.requests import Op
from gristmill.engines.sandbox import serve
from gristmill.engines.sandbox.packages import INSTALL_S
from gristmill.engines.sandbox.pool import ATTEMPTS, Sandbox
from gristmill.engines.sandbox.profiles import NAMES, find_profile
from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.errors import (
    EngineError,
    EngineLost,
    EngineRefused,
    GristmillError,
    RequirementError,
)

log = logging.getLogger(__name__)

AHEAD = 4
"""Programs in hand per slot: one runs, the others are there when it ends."""
PATIENCE = 60
"""Beats of its pool process that may be missing in a row before it is killed."""
START_S = 120.0 + INSTALL_S
"""How long probing the machine may take, and installing the packages of a recipe's profiles."""


class NodeSandbox(Engine):
    """Runs programs in a pool process on the machine where it is started, with slots of its own.

    `workers` that the recipe does not name are the cores there.
    """

    ops: ClassVar[frozenset[Op]] = frozenset({"run"})
    hosted: ClassVar[bool] = True
    everywhere: ClassVar[bool] = True
    """Each machine of a cluster hosts one."""

    sandbox: Sandbox
    promised: str
    """The identity under which verdicts are stored: what it names must hold on each machine."""
    profiles: dict[str, str]
    """So must what the verdicts' keys say of each profile."""

    _owner: Owner | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, sandbox: Sandbox) -> NodeSandbox:
        """Return what hosts a sandbox elsewhere and promises what this machine does."""
        return cls(sandbox=sandbox, promised=sandbox.identity, profiles=profiles_here())

    @property
    def identity(self) -> str:
        """The sandbox's: where it runs changes no verdict."""
        return self.promised

    @property
    def window(self) -> int:
        """How many programs it takes at a time, once it is started; the others wait outside."""
        return AHEAD * (self._owner.slots if self._owner else self.sandbox.workers)

    async def start(self) -> None:
        """Start the pool process.

        Raises:
            RequirementError: This machine cannot isolate, or would give other verdicts.
        """
        here = os.uname().nodename
        if self.sandbox.identity != self.promised:
            raise RequirementError(
                f"{here} would give verdicts of {self.sandbox.identity}, but this run has those of "
                f"{self.promised}; install the same gristmill and Python on every machine"
            )
        self._owner = Owner(self.sandbox)
        try:
            await self._owner.start()
        except RequirementError as error:
            raise RequirementError(f"{here}: {error}") from error

    async def stop(self) -> None:
        """End the pool process and all that it runs."""
        owner, self._owner = self._owner, None
        if owner:
            await owner.stop()

    async def run(self, request: Program) -> Verdict:
        """Run one program; raises EngineError when the machine is to blame.

        EngineRefused: The program's profile has other packages or tools here than it should.
        """
        if not self._owner:
            raise EngineError("the sandbox is not started")
        promised = self.profiles.get(request.profile, "")
        if promised and (found := profiles_here()[request.profile]) != promised:
            raise EngineRefused(
                f"{os.uname().nodename} has the profile {found}, but this run needs {promised}; "
                "install the same on every machine"
            )
        return await self._owner.run(request)


@cache
def profiles_here() -> dict[str, str]:
    """Return what this machine has of each profile; those of a recipe are the same everywhere."""
    return {name: find_profile(name).identity for name in NAMES}


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
                self.pool = await Pool.start(self.config)
            return self.pool


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
        """Start the process; raises what its sandbox raises."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = spawn(theirs.fileno())
        pool = cls(process, *await asyncio.open_unix_connection(sock=ours))
        try:
            pool.writer.write(serve.framed(dumps(config)))
            said = await asyncio.wait_for(serve.receive(pool.reader), START_S)
            pool.slots, *made = json.loads(said)
            result((made[0], made[1]))
        except (EOFError, OSError) as error:
            await pool.close()
            raise EngineError(f"the sandbox's process did not start: {error!r}") from error
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
