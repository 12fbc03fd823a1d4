"""A cluster of two machines, both on this one: each gets a sandbox, programs go to both."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psutil
import pytest

from gristmill.engines.remote import Remote
from gristmill.engines.sandbox import Program, Sandbox
from gristmill.engines.sandbox.node import NodeSandbox
from gristmill.pipelines.runners import RayRunner

pytestmark = pytest.mark.slow
SQUARE = Program("def f(x):\n    return x * x", "assert f(3) == 9")
SLEEPS = replace(SQUARE, code="import time\ntime.sleep(0.2)\n" + SQUARE.code)
WRONG = replace(SQUARE, code="def f(x):\n    return x")


SIZE = {"num_cpus": 1, "object_store_memory": 80 << 20}


@pytest.fixture(scope="module")
def cluster(chosen: Sandbox) -> Iterator[Any]:
    import ray
    from ray.cluster_utils import Cluster

    ray.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args={**SIZE, "include_dashboard": False})
    cluster.add_node(**SIZE)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def hosted(address: str | None) -> Any:
    return RayRunner(address=address).host(Sandbox(1))


def test_without_a_cluster_it_stays_in_this_process(monkeypatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert isinstance(hosted(None), Sandbox)


def serving(pids: list[int]) -> psutil.Process:
    """Return the pool process among those of an actor."""
    found = map(psutil.Process, pids)
    return next(p for p in found if "gristmill.engines.sandbox.serve" in p.cmdline())


def test_every_machine_has_one_and_a_killed_one_comes_back(cluster: Any) -> None:
    remote = hosted(cluster.address)
    assert isinstance(remote, Remote)
    assert isinstance(remote.engine, NodeSandbox)
    assert remote.identity == Sandbox(1).identity
    programs = [SLEEPS, WRONG] * 10

    async def go() -> Any:
        await remote.start()
        actors = await remote.pids()
        waiting = [asyncio.create_task(remote.run(program)) for program in programs]
        await asyncio.sleep(0.5)
        assert remote._pool
        assert all(replica.in_hand for replica in remote._pool.replicas)
        victim = serving(actors[0])
        victim.kill()
        verdicts = await asyncio.gather(*waiting)
        after = await remote.pids()
        nodes = {replica.node for replica in remote._pool.replicas}
        await remote.stop()
        return actors, victim.pid, after, nodes, [verdict.status for verdict in verdicts]

    actors, victim, after, nodes, statuses = asyncio.run(go())
    assert statuses == ["pass", "fail"] * 10
    assert len(actors) == len(nodes) == 2
    assert actors[0][0] == after[0][0] != actors[1][0]
    assert victim not in after[0]
    left = [psutil.Process(pid) for pids in after for pid in pids if psutil.pid_exists(pid)]
    assert psutil.wait_procs(left, 10)[1] == []


def test_a_machine_that_joins_during_a_run_gets_one(cluster: Any) -> None:
    remote = hosted(cluster.address)

    async def go() -> list[str]:
        await remote.start()
        assert remote._pool
        replicas = remote._pool.replicas
        before = {replica.node for replica in replicas}
        cluster.add_node(**SIZE)  # it wants the main thread
        while len(replicas) == len(before) or not replicas[-1].is_ready:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert replicas[-1].node not in before
        waiting = [asyncio.create_task(remote.run(SLEEPS)) for _ in range(12)]
        await asyncio.sleep(0.3)
        assert replicas[-1].in_hand
        verdicts = await asyncio.gather(*waiting)
        await remote.stop()
        return [verdict.status for verdict in verdicts]

    assert asyncio.run(go()) == ["pass"] * 12
