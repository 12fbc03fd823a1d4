"""The sandbox as an engine: a bounded number of runs at a time, thousands waiting."""

from __future__ import annotations

import asyncio
import platform
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Self

from pydantic import BaseModel, Field, PrivateAttr

from gristmill.engines.base import Engine
from gristmill.engines.lanes import cores
from gristmill.engines.requests import Op
from gristmill.engines.sandbox.backends import Backend, Slots, Wish, choose, describe
from gristmill.engines.sandbox.builds import Builds
from gristmill.engines.sandbox.cgroups import Group, sweep
from gristmill.engines.sandbox.isolation import find_bubblewrap
from gristmill.engines.sandbox.judge import HARNESS, judge
from gristmill.engines.sandbox.packages import Made, identity, look_up
from gristmill.engines.sandbox.profiles import BARE, Profile
from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.engines.sandbox.sharing import Gate, Lane, Stop
from gristmill.engines.sandbox.watch import Limits, Outcome
from gristmill.errors import EngineError, InputError, RecipeError, RequirementError

STARTING = threading.Lock()
POLICY = "2"
"""Raise it when a limit or the view of a program changes."""
ATTEMPTS = 3


class Sandbox(Engine):
    """Run programs that nobody trusts. Refuses to work where it cannot isolate them."""

    ops: ClassVar[frozenset[Op]] = frozenset({"run"})

    workers: int = Field(default_factory=cores, ge=1)
    """Runs at a time; in no key. Default: the cores that this process may use."""
    backend: Wish = "auto"
    """`auto` is zygote, else bubblewrap; both give the same statuses and share their verdicts.
    `degraded` is landlock and seccomp without namespaces, for machines that forbid those: only
    when named here, never chosen, and in the key of its verdicts."""
    profiles: Made = Field(default_factory=dict)
    """Profiles of your own by name: `{requirements: [networkx==3.4], preload: [networkx]}`. Their
    packages are installed once, and are trusted as any that you install."""
    i_accept_that_programs_run_without_isolation: bool = False
    """Run generated programs as yourself, with your files and your network. Not a good idea."""

    _state: _State | None = PrivateAttr(default=None)

    def __init__(self, workers: int | None = None, **parameters: Any) -> None:
        if workers is not None:
            parameters["workers"] = workers
        super().__init__(**parameters)

    @property
    def isolates(self) -> bool:
        """Whether programs are set apart from the machine."""
        return not self.i_accept_that_programs_run_without_isolation

    @property
    def identity(self) -> str:
        """Name the harness, the policy, the interpreter and whether isolation holds."""
        kind = "degraded" if self.backend == "degraded" else "isolated"
        if not self.isolates:
            kind = "NOT-ISOLATED"
        own = identity(self.profiles)
        return f"sandbox:{HARNESS}.{POLICY}:{kind}:{interpreter_name()}" + (own and f":{own}")

    def require(self, name: str) -> None:
        """Raise InputError for an unknown profile, RequirementError for one that lacks parts.

        Nothing is installed.
        """
        found = None if name in self.profiles else look_up(name, self.profiles)
        if found and found.missing:
            raise RequirementError(
                f"the profile {name} needs {', '.join(found.missing)} here: {found.fix}"
            )

    def accept(self, where: str, stage: BaseModel) -> None:
        """Refuse a stage whose `profile` does not exist or lacks parts here."""
        profile = getattr(stage, "profile", None)
        if isinstance(profile, str):
            try:
                self.require(profile)
            except InputError as error:
                raise RecipeError(f"{where}: {error}") from error

    def check(self) -> None:
        """Raise RequirementError when there is nothing to isolate with, or no package to run with.

        Packages of the recipe's own profiles are installed here, if they never were.
        """
        if self.isolates and sys.platform != "linux":
            raise RequirementError(
                f"no isolation for generated programs: it needs Linux, this is {sys.platform}"
            )
        if self.isolates and self.backend == "bubblewrap":
            find_bubblewrap()
        for name in self.profiles:
            look_up(name, self.profiles)

    async def start(self) -> None:
        """Probe the isolation and make the slots."""
        await asyncio.to_thread(self._ready)

    async def stop(self) -> None:
        """Kill what still runs and give everything back."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        """Probe the isolation and make the slots; leaving gives everything back."""
        self._ready()
        return self

    def __exit__(self, *_: object) -> None:
        """Give everything back."""
        self.close()

    async def __aenter__(self) -> Self:
        """Do what `__enter__` does, without holding the loop up."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give everything back."""
        await self.stop()

    def close(self) -> None:
        """Do what `stop` does, without a loop."""
        with STARTING:
            state, self._state = self._state, None
        if state:
            state.close()

    async def run(self, request: Program) -> Verdict:
        """Run one program; raises EngineError when the machine is to blame.

        Cancelled, it kills the program: the slot is free at once.
        """
        state = self._state
        if state is None:
            state = await asyncio.to_thread(self._ready)
        loop, stop = asyncio.get_running_loop(), Stop(state.stopping)
        try:
            verdict = await loop.run_in_executor(state.threads, state.judge, request, stop)
        except asyncio.CancelledError:
            stop.set()
            raise
        if verdict.status == "infra_error":
            raise EngineError(
                f"the sandbox could not run a program, {ATTEMPTS} times: {verdict.detail}"
            )
        return verdict

    def run_all(self, programs: Sequence[Program]) -> list[Verdict]:
        """Run programs and wait; verdicts in their order, `infra_error` where none was possible.

        >>> sandbox = Sandbox(workers=1)
        >>> right = Program("def f(x): return x + 1", "assert f(1) == 2")
        >>> [verdict.status for verdict in sandbox.run_all([right])]
        ['pass']
        >>> sandbox.close()
        """
        state = self._ready()
        return list(state.threads.map(state.judge, programs))

    def _ready(self) -> _State:
        with STARTING:
            state = self._state
            if state is None:
                self.check()
                backend: Backend = choose(self.backend) if self.isolates else "none"
                state = self._state = _State(self.workers, backend, self.profiles)
            return state


class _State:
    """What lives between start and stop: threads, and a slot for each."""

    def __init__(self, workers: int, backend: Backend, made: Made) -> None:
        self.backend, self.workers = backend, workers
        self.own = {name: look_up(name, made) for name in made}
        sweep()
        self.lock = threading.Lock()
        self.lanes: dict[str, Lane] = {}
        self.made = self.lane(BARE).made
        self.groups = [slot.group for slot in self.made.all]
        self.gate = Gate()
        self.builds = Builds()
        self.stopping = threading.Event()
        self.threads = ThreadPoolExecutor(workers, thread_name_prefix="sandbox")
        self.profile = profile(self.groups[0], backend)

    def close(self) -> None:
        self.stopping.set()
        self.threads.shutdown(wait=True, cancel_futures=True)
        for lane in self.lanes.values():
            lane.made.close()

    def lane(self, wanted: Profile) -> Lane:
        """Return the slots of a profile; those of another than `bare` are made at its first use."""
        with self.lock:
            if wanted.name not in self.lanes:
                self.lanes[wanted.name] = Lane(Slots(self.backend, self.workers, wanted))
            return self.lanes[wanted.name]

    def judge(self, program: Program, stop: threading.Event | None = None) -> Verdict:
        """Judge a program; the machine's own failures are tried again, then reported.

        Once `stop` is set it ends soon, with `infra_error`.
        """
        stop = stop or self.stopping
        wanted = self.own.get(program.profile) or look_up(program.profile, {})
        if wanted.missing:
            lacks = f"{', '.join(wanted.missing)}: not installed, so no profile {wanted.name}"
            return Verdict("missing_dependency", f"{lacks}; {wanted.fix}", profile=wanted.identity)
        lane = self.lane(wanted if wanted.paths else BARE)
        execute = partial(self.execute, lane=lane, stop=stop)
        for _ in range(ATTEMPTS):
            verdict = judge(program, execute, wanted, self.builds)
            if verdict.status != "infra_error" or stop.is_set():
                break
        return replace(verdict, profile=f"{self.profile}, {wanted.identity}")

    def execute(
        self, job: bytes, stdin: bytes, limits: Limits, *, lane: Lane, stop: threading.Event
    ) -> Outcome:
        """Run one job in a free slot; a time-out that had to wait for the CPU runs again, alone."""
        with self.gate.shared():
            outcome = lane.execute(job, stdin, limits, stop)
        if outcome.is_starved(limits):
            with self.gate.alone():
                outcome = lane.execute(job, stdin, limits, stop)
        return outcome


def interpreter_name() -> str:
    """Return the interpreter that programs run on."""
    return f"{platform.python_implementation().lower()}-{platform.python_version()}"


def profile(group: Group | None, backend: Backend) -> str:
    """Say which isolation holds."""
    counted = f"cgroup v{group.version}" if group else "no cgroup: watcher every 20 ms"
    return f"{describe(backend)}, {counted}, {interpreter_name()}"
