import asyncio
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gristmill.engines.vllm_start import Forked, environment
from gristmill.engines.workers import Hand, WorkerLost
from gristmill.errors import StorageError
from gristmill.storage.batches import Batches


class Method:
    """A method of an actor that is not there."""

    def __init__(self, call: Any) -> None:
        self.remote = call


@pytest.mark.parametrize("breaks", ["collect", "deliver"])
def test_a_message_that_cannot_travel_loses_the_worker_not_the_run(breaks: str) -> None:
    import ray

    killed: list[Any] = []

    async def broken(*_: Any) -> Any:
        await asyncio.sleep(0.01)
        raise ray.exceptions.RaySystemError("cannot be pickled")

    async def quiet(*_: Any) -> Any:
        return None

    async def go() -> None:
        hand: Any = object.__new__(Hand)
        hand._ray = SimpleNamespace(exceptions=ray.exceptions, kill=killed.append)
        hand.load, hand.lost, hand._jobs, hand._tasks = 0, False, {}, set()

        async def collect() -> Any:
            if breaks == "collect":
                return await broken()
            hand.asked = hand.__dict__.get("asked", 0) + 1
            if hand.asked > 1:
                await asyncio.sleep(60)
            return [(1, "generator", "a request")], []

        class Role:
            async def ask(self, _: Any) -> Any:
                return "key", "answer"

        deliver = broken if breaks == "deliver" else quiet
        hand._actor = type(
            "Actor",
            (),
            {"start": Method(quiet), "collect": Method(collect), "deliver": Method(deliver)},
        )()
        hand._replies = Batches(hand._deliver, 1, 0.0, at_once=1)
        hand._roles = {"generator": Role()}
        hand._pump = asyncio.create_task(hand._collect())
        with pytest.raises(WorkerLost, match="cannot be pickled"):
            await asyncio.wait_for(hand.run("shard", None, hand._roles), 10)
        assert hand.lost
        assert killed == [hand._actor], "what is left of it would go on"
        hand._pump.cancel()
        await asyncio.gather(hand._pump, return_exceptions=True)

    asyncio.run(go())


def test_a_batch_with_too_few_results_leaves_nobody_waiting() -> None:
    async def short(items: list[int]) -> list[int]:
        return items[1:]

    async def go() -> list[Any]:
        batches = Batches(short, 10, 0.0, at_once=1)
        calls = [batches(i) for i in range(3)]
        return await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 5)

    found = asyncio.run(go())
    assert all(isinstance(error, StorageError) for error in found)


def test_loading_an_engine_leaves_other_threads_their_variables(monkeypatch: Any) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with environment(one_process=False):
        os.environ |= {"LD_PRELOAD": "x.so", "OMP_NUM_THREADS": "1", "OF_ANOTHER_THREAD": "1"}
    assert os.environ.pop("OF_ANOTHER_THREAD") == "1"
    assert "LD_PRELOAD" not in os.environ
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_a_forked_process_has_the_variables_of_its_own_start(
    monkeypatch: Any, tmp_path: Path
) -> None:
    for said in ("before", "after"):
        monkeypatch.setenv("SAID", said)
        how = {"args": f'printf "$SAID" > {tmp_path / said}', "shell": True}
        process = Forked().Process(target=subprocess.run, name="told", kwargs=how)
        process.start()
        process.join()
        assert process.exitcode == 0
        assert (tmp_path / said).read_text() == said


def test_engines_that_load_at_once_in_one_process_take_turns(monkeypatch: Any) -> None:
    from gristmill.engines import vllm_start

    inside, most = [0], [0]

    @contextmanager
    def slow(*, one_process: bool) -> Iterator[None]:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.05)
        inside[0] -= 1
        raise ValueError(one_process)
        yield

    monkeypatch.setattr(vllm_start, "environment", slow)
    threads = [threading.Thread(target=_load) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def _load() -> None:
    from gristmill.engines import vllm_start

    with pytest.raises(ValueError, match=r"True|False"):
        vllm_start.load({}, [])
