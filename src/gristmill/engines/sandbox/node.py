"""The sandbox of one machine of a cluster: a Ray actor owns the process that has the slots."""

from __future__ import annotations

import os
from functools import cache
from typing import ClassVar

from pydantic import PrivateAttr

from gristmill.engines.base import Engine
from gristmill.engines.requests import Op
from gristmill.engines.sandbox.owner import AHEAD, Owner
from gristmill.engines.sandbox.pool import Sandbox
from gristmill.engines.sandbox.profiles import NAMES, find_profile
from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.errors import EngineError, EngineRefused, RequirementError


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
