"""A sandbox in a process of its own: it comes back from its death and goes with its owner."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from gristmill.engines.sandbox import Program, Sandbox, serve
from gristmill.engines.sandbox.cgroups import sweep
from gristmill.engines.sandbox.node import NodeSandbox
from gristmill.engines.sandbox.owner import AHEAD, Owner, Pool
from gristmill.engines.sandbox.pool import ATTEMPTS
from gristmill.errors import EngineError, EngineRefused, InputError, RequirementError

SQUARE = Program("def f(x):\n    return x * x", "assert f(3) == 9")
WRONG = replace(SQUARE, code="def f(x):\n    return x")
SLEEPS = replace(SQUARE, code="import time\ntime.sleep(1)\n" + SQUARE.code)
ENDLESS = replace(SQUARE, code="while True: pass", timeout_s=3600)
ALMOST_NEVER_S = 100

pytestmark = pytest.mark.slow
Using = Callable[..., Any]


@pytest.fixture
def using(chosen: Sandbox) -> Using:
    """Run a test's coroutine on a started node with one slot, and end the node."""

    def use(do: Callable[[NodeSandbox], Awaitable[Any]], **changes: Any) -> Any:
        sandbox = Sandbox(**{"workers": 1, **changes})

        async def go() -> Any:
            node = NodeSandbox.of(sandbox)
            await node.start()
            try:
                return await asyncio.wait_for(do(node), ALMOST_NEVER_S)
            finally:
                await node.stop()

        return asyncio.run(go())

    return use


def owner_of(node: NodeSandbox) -> Owner:
    assert node._owner
    return node._owner


def pool_of(node: NodeSandbox) -> Pool:
    pool = owner_of(node).pool
    assert pool
    return pool


def family(pool: Pool) -> list[psutil.Process]:
    process = psutil.Process(pool.process.pid)
    return [process, *process.children(recursive=True)]


def groups_of(pool: Pool) -> list[Path]:
    """Return the control groups left by a pool when the next one has swept them."""
    sweep()
    return list(Path("/sys/fs/cgroup").glob(f"**/gristmill-{pool.process.pid}-*"))


async def warm(node: NodeSandbox) -> int:
    """Run something; return how many processes there are when nothing runs any more."""
    await node.run(SQUARE)
    seen = [-1]
    while len(set(seen[-10:])) > 1 or len(seen) < 10:
        await asyncio.sleep(0.02)
        seen.append(len(family(pool_of(node))))
    return seen[-1]


async def until_in_a_run(pool: Pool, idle: int) -> None:
    """Wait until a program has started something."""
    while len(family(pool)) <= idle:  # noqa: ASYNC110 - nothing announces a run
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)


def test_many_programs_get_the_verdicts_that_they_get_here(using: Using, chosen: Sandbox) -> None:
    programs = [
        SQUARE, WRONG,
        replace(SQUARE, code=f"{SQUARE.code}\nx = '\ud800'"),
        replace(SQUARE, code="def f(x: return"),
        Program("print(int(input()) + 1)", stdin="1\n", stdout="2", tolerance=0.1),
        Program(SQUARE.code, calls=("f(2)", "f(2.5)")),
        Program("", cells=(SQUARE.code, "print(f(3))", "f(3)", "f(")),
    ] * 3  # fmt: skip

    async def do(node: NodeSandbox) -> Any:
        return await asyncio.gather(*map(node.run, programs))

    def told(verdict: Any) -> Any:
        return replace(verdict, wall_ms=0, cpu_ms=0)

    assert list(map(told, using(do))) == list(map(told, chosen.run_all(programs)))


def test_an_error_is_the_same_error_here(using: Using) -> None:
    program = replace(SQUARE)
    object.__setattr__(program, "timeout_s", -1.0)

    async def do(node: NodeSandbox) -> Any:
        with pytest.raises(InputError, match="timeout_s of a program must be"):
            await node.run(program)
        return (await node.run(SQUARE)).status

    assert using(do) == "pass"


def kill(pool: Pool) -> None:
    pool.process.send_signal(signal.SIGKILL)


def drop(pool: Pool) -> None:
    pool.writer.close()


def freeze(pool: Pool) -> None:
    pool.patience = 2
    pool.process.send_signal(signal.SIGSTOP)


@pytest.mark.parametrize("sabotage", [kill, drop, freeze])
def test_a_pool_that_goes_in_the_middle_of_runs_changes_no_label(using: Using, sabotage) -> None:
    async def do(node: NodeSandbox) -> Any:
        idle, first = await warm(node), pool_of(node)
        waiting = [asyncio.create_task(node.run(program)) for program in (SLEEPS, WRONG, SQUARE)]
        await until_in_a_run(first, idle)
        assert len(first.in_hand) == 3
        before = family(first)
        sabotage(first)
        statuses = [verdict.status for verdict in await asyncio.gather(*waiting)]
        assert pool_of(node) is not first
        return statuses, psutil.wait_procs(before, 60)[1], first

    statuses, left, first = using(do)
    assert statuses == ["pass", "fail", "pass"]
    assert left == []
    assert groups_of(first) == []


def test_a_pool_that_keeps_dying_is_trouble_of_the_machine(using: Using) -> None:
    async def do(node: NodeSandbox) -> int:
        deaths = []

        async def murder() -> None:
            while True:
                pool = owner_of(node).pool
                if pool and pool.in_hand and pool not in deaths:
                    deaths.append(pool)
                    kill(pool)
                await asyncio.sleep(0.01)

        murderer = asyncio.create_task(murder())
        with pytest.raises(EngineError, match=f"died under a program, {ATTEMPTS} times"):
            await node.run(SLEEPS)
        murderer.cancel()
        assert (await node.run(SQUARE)).status == "pass"
        return len(deaths)

    assert using(do) == ATTEMPTS


@pytest.mark.parametrize("deaths", [1, ATTEMPTS])
def test_a_pool_that_dies_while_it_starts_is_started_again(chosen: Sandbox, deaths: int) -> None:
    node, killed = NodeSandbox.of(Sandbox(1)), set[int]()

    async def murder() -> None:
        while len(killed) < deaths:
            for child in psutil.Process().children():
                if serve.__name__ in child.cmdline():
                    killed.add(child.pid)
                    child.kill()
            await asyncio.sleep(0.01)

    async def go() -> str:
        murderer = asyncio.create_task(murder())
        try:
            await node.start()
            return (await node.run(SQUARE)).status
        finally:
            await node.stop()
            murderer.cancel()

    if deaths < ATTEMPTS:
        assert asyncio.run(go()) == "pass"
    else:
        with pytest.raises(EngineError, match=f"did not start, {ATTEMPTS} times: .* by signal 9"):
            asyncio.run(go())
    assert len(killed) == deaths


def test_everything_goes_when_the_owner_has_gone(using: Using) -> None:
    """The socket closes with the process that holds it, however that ends."""

    async def do(node: NodeSandbox) -> Any:
        idle, pool = await warm(node), pool_of(node)
        waiting = asyncio.create_task(node.run(ENDLESS))
        await until_in_a_run(pool, idle)
        held = family(pool)
        waiting.cancel()
        pool.writer.transport.abort()
        return held, await asyncio.to_thread(psutil.wait_procs, held, 60), pool

    held, (_, left), pool = using(do)
    assert len(held) > 2
    assert left == []
    assert groups_of(pool) == []


def test_a_program_that_is_given_up_frees_its_slot(using: Using) -> None:
    async def do(node: NodeSandbox) -> Any:
        idle, pool = await warm(node), pool_of(node)
        endless = asyncio.create_task(node.run(ENDLESS))
        queued = asyncio.create_task(node.run(ENDLESS))
        await until_in_a_run(pool, idle)
        queued.cancel()
        endless.cancel()
        await asyncio.wait([endless, queued])
        return (await node.run(SQUARE)).status, pool_of(node) is pool

    assert using(do) == ("pass", True)


def test_no_more_programs_are_there_than_it_has_use_for(using: Using) -> None:
    async def do(node: NodeSandbox) -> Any:
        programs = [asyncio.create_task(node.run(SQUARE)) for _ in range(10 * AHEAD)]
        most = 0
        while not all(task.done() for task in programs):
            most = max(most, len(pool_of(node).in_hand))
            await asyncio.sleep(0)
        return most, node.window, {task.result().status for task in programs}

    assert using(do, workers=2) == (2 * AHEAD, 2 * AHEAD, {"pass"})


def test_workers_that_nobody_named_are_the_cores_of_the_machine(chosen: Sandbox) -> None:
    owner = Owner(Sandbox())
    assert "workers" not in owner.config

    async def go() -> int:
        await owner.start()
        await owner.stop()
        return owner.slots

    assert asyncio.run(go()) == len(os.sched_getaffinity(0))


def test_a_machine_that_would_give_other_verdicts_is_refused() -> None:
    node = NodeSandbox(sandbox=Sandbox(1), promised="sandbox:0", profiles={})
    with pytest.raises(RequirementError, match="same gristmill and Python on every machine"):
        asyncio.run(node.start())


def test_a_machine_with_other_packages_runs_nothing_that_uses_them(using: Using) -> None:
    async def do(node: NodeSandbox) -> str:
        node.profiles["numpy"] = "numpy(numpy 0.1)"
        with pytest.raises(EngineRefused, match=r"but this run needs numpy\(numpy 0.1\)"):
            await node.run(replace(SQUARE, profile="numpy"))
        return (await node.run(SQUARE)).status

    assert using(do) == "pass"


def test_a_machine_that_cannot_isolate_says_its_name(monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(Path(__file__).parent))
    node = NodeSandbox.of(Sandbox(1, backend="bubblewrap"))
    with pytest.raises(RequirementError, match=f"{os.uname().nodename}: .*bwrap"):
        asyncio.run(node.start())
    assert node._owner
    assert node._owner.pool is None
