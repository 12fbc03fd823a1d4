"""Ray, started when the first thing needs it and stopped when the last has gone."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from gristmill import telemetry
from gristmill.engines.loop import within
from gristmill.errors import RequirementError

OBJECTS_BYTES = 256 * 2**20
"""Shared memory of a local Ray: requests and answers are small and leave at once."""
ATTEMPTS = 3
"""Ray gives its own daemons 30 seconds to start and cannot be told to give them more."""

T = TypeVar("T")
LISTENED = {"alive": 1}
"""The concurrency groups of an actor that `listen` listens to."""
START_S = 120.0
"""How much longer than any other the first word of an actor may take: its process starts."""

_gate = threading.Lock()
_users: list[bool] = []
"""One entry per user of Ray in this process; True where we started it ourselves."""
_pages: list[str] = []
"""The address of the dashboard, while there is one."""


def connect(address: str | None = None) -> None:
    """Join the cluster at `address` or RAY_ADDRESS, or start a local one; once per `release`."""
    with _gate:
        telemetry.switch_off()
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it hides GPUs
        import ray

        address = address or os.environ.get("RAY_ADDRESS")
        ours = not ray.is_initialized()
        if ours:
            _join(address or "local")
        _users.append(ours)


def _join(address: str) -> None:
    """Start or join Ray. A busy machine may take longer than Ray waits: try a second time."""
    import ray

    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "ERROR",
        "namespace": "gristmill",
    }
    if address == "local":
        options |= {"include_dashboard": False, "object_store_memory": OBJECTS_BYTES}
    for attempt in range(ATTEMPTS):
        try:
            page = ray.init(address=address, **options).dashboard_url
        except Exception as error:
            ray.shutdown()
            if attempt + 1 < ATTEMPTS and "timed out" in str(error):
                continue
            raise RequirementError(
                f"Ray could not be reached at '{address}': {error}; start it with "
                "`ray start --head`, or leave --ray and RAY_ADDRESS out"
            ) from error
        else:
            _pages[:] = [f"http://{page}" if "://" not in page else page] if page else []
            return


def dashboard() -> str:
    """Return the address of the dashboard of the Ray that was joined, "" without one."""
    return _pages[0] if _pages else ""


def release() -> None:
    """Say that one user has gone; a Ray that we started stops with the last one."""
    with _gate:
        if not _users:
            return
        _users.sort()  # the one that started it leaves last
        if _users.pop(0) and not _users:
            import ray

            _pages.clear()
            ray.shutdown()


def last_words(pid: int) -> str:
    """Return the last line that a process of a Ray on this machine wrote to its error log."""
    logs = list(Path("/tmp/ray").glob(f"session_2*/logs/worker-*-{pid}.err"))
    if not logs:
        return ""
    latest = max(logs, key=lambda log: log.stat().st_mtime)  # numbers of processes come again
    lines = latest.read_text("utf-8", "replace").split("\n")
    said = [line.strip() for line in lines if line.strip() and line[0] != ":"]
    return said[-1] if said else ""  # Ray's own lines are `:actor_name:Host` and the like


async def listen(alive: Any, silence_s: float, *, needs_room: bool = False) -> None:
    """Call `alive`, a method of an actor, again and again while its process lives.

    It answers in a thread of its own (`LISTENED`): only a stopped process is silent, no busy one.
    The first answer may take START_S more. It has no limit where the actor needs room: Ray
    waits for a machine with a GPU that is free, and has no process until then.

    Raises:
        TimeoutError: It said nothing for `silence_s` seconds.
        ray.exceptions.RayError: It is dead.
    """
    alive = alive.options(concurrency_group="alive")
    await (alive.remote() if needs_room else within(alive.remote(), START_S + silence_s))
    while True:
        await asyncio.sleep(silence_s / 4)
        await within(alive.remote(), silence_s)


async def while_alive(
    call: Coroutine[Any, Any, T], alive: Any, silence_s: float, *, needs_room: bool
) -> T:
    """Await a call to an actor as long as `listen` hears from it; raise what `listen` raises."""
    called = asyncio.create_task(call)
    heard = asyncio.create_task(listen(alive, silence_s, needs_room=needs_room))
    try:
        await asyncio.wait({called, heard}, return_when=asyncio.FIRST_COMPLETED)
        if heard.done() and not called.done():
            await heard
        return await called
    finally:
        for task in (called, heard):
            task.cancel()


def gpus() -> list[float]:
    """Return the number of GPUs of every machine in the cluster that has any."""
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return [float(n) for node in alive if (n := node["Resources"].get("GPU"))]


def nodes() -> list[str]:
    """Return the ids of the machines in the cluster that offer CPUs."""
    import ray

    return sorted(
        str(node["NodeID"])
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"] and node["Resources"].get("CPU")
    )


def environment() -> dict[str, str]:
    """Return what an actor must find in its environment, on whichever machine it runs.

    No token of the Hub: Ray shows on its page and in its logs what it is given here.
    """
    carried = ["PYTHONPATH", "HF_HUB_OFFLINE", "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT"]
    found = {name: os.environ[name] for name in carried if os.environ.get(name)}
    return {**telemetry.OFF, **found}
