"""Which isolation is used: the warm interpreter, else bubblewrap; a weaker one only when named.

The first two hold programs to the same policy and give the same statuses (the tests compare
them), so neither is part of a verdict's key. A degraded verdict is another one, and so is one
without isolation: those names are in the key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from threading import Event
from typing import Literal, Protocol

from gristmill.engines.sandbox import process, zygote
from gristmill.engines.sandbox.cgroups import Group, make_group
from gristmill.engines.sandbox.isolation import INSTALL, bubblewrap_version, find_bubblewrap
from gristmill.engines.sandbox.probe import Probe, failures, probe
from gristmill.engines.sandbox.profiles import BARE, Profile
from gristmill.engines.sandbox.watch import Limits, Outcome
from gristmill.errors import RequirementError

Wish = Literal["auto", "zygote", "bubblewrap", "degraded"]
Backend = Literal["zygote", "bubblewrap", "degraded", "none"]
ORDER: tuple[Backend, ...] = ("zygote", "bubblewrap")


class Slot(Protocol):
    """A place for one run at a time."""

    group: Group | None

    def execute(
        self, job: bytes, stdin: bytes, limits: Limits, stopping: Event | None = None
    ) -> Outcome:
        """Run one job to its end; returns within the time limit and a second."""
        ...

    def close(self) -> None:
        """End whatever waits in it."""
        ...


class Slots:
    """Equal places, with a control group each where the machine allows it."""

    def __init__(self, backend: Backend, workers: int, profile: Profile = BARE) -> None:
        self.backend = backend
        # Warm interpreters die with the thread that starts them, so it lives as long as this.
        self.spawner = ThreadPoolExecutor(1, thread_name_prefix="zygotes")
        self.all: list[Slot] = []
        for _ in range(workers):
            group = make_group()
            slot: Slot
            if backend == "zygote":
                slot = zygote.Slot(group, profile, self.spawner)
            else:
                slot = process.Slot(group, backend, profile)
            self.all.append(slot)

    def close(self) -> None:
        """End what waits in the slots, and give their groups back."""
        for slot in self.all:
            slot.close()
        self.spawner.shutdown()
        for slot in self.all:
            if slot.group:
                slot.group.remove()


@cache
def probed(backend: Backend) -> tuple[Probe, ...]:
    """Try a back end once per process, and again if it fails: something may have killed it."""
    first = _probed(backend)
    return _probed(backend) if failures(list(first)) else first


def _probed(backend: Backend) -> tuple[Probe, ...]:
    with ExitStack() as stack:
        slots = Slots(backend, 1)
        stack.callback(slots.close)
        outside_root = os.getuid() == 0 and backend != "zygote"
        return tuple(probe(slots.all[0].execute, outside_root=outside_root))


def choose(wish: Wish) -> Backend:
    """Return the back end to use; raises RequirementError with every reason when none holds."""
    if wish == "bubblewrap":
        find_bubblewrap()
    wanted = ORDER if wish == "auto" else (wish,)
    reasons = []
    for backend in wanted:
        try:
            wrong = trouble(backend)
        except RequirementError as error:
            wrong = [str(error)]
        if not wrong:
            return backend
        reasons.append(f"{backend}: {'; '.join(wrong)}")
    raise refusal(reasons)


def refusal(reasons: Sequence[str]) -> RequirementError:
    """Return the error that says why programs are not run here."""
    return RequirementError(
        f"no isolation for generated programs on this machine: {' | '.join(reasons)}; {INSTALL}"
    )


def trouble(backend: Backend) -> list[str]:
    """Return why a back end cannot be used here; empty when it can."""
    if backend == "bubblewrap":
        find_bubblewrap()
    if backend == "degraded" and os.getuid() == 0:
        return ["it shares files and processes with the machine, so it never runs as root"]
    return failures(list(probed(backend)))


def describe(backend: Backend) -> str:
    """Return what a verdict says about the isolation that held."""
    names: dict[Backend, Callable[[], str]] = {
        "zygote": lambda: "zygote, seccomp",
        "bubblewrap": lambda: f"{bubblewrap_version()}, seccomp",
        "degraded": lambda: "degraded: landlock, seccomp",
        "none": lambda: "NOT ISOLATED",
    }
    return names[backend]()
