"""The pool of an engine's actors, whatever happens to them: each request has one end, its own.

The actors are in this process, on a loop whose time jumps; `test_remote.py` has real ones.
"""

import asyncio
import os
import random
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from gristmill.engines import cluster, replica
from gristmill.engines.base import Engine
from gristmill.engines.host import Host
from gristmill.engines.planner import Waiting
from gristmill.engines.pool import Pool
from gristmill.engines.remote import Remote
from gristmill.engines.replica import Replica
from gristmill.engines.requests import Completion, Generate, Op, Sampling
from gristmill.engines.suspects import WORD, Suspects
from gristmill.errors import EngineError, EngineLost, EngineRefused, InputError, RequirementError
from tests.engines.test_leases import fast


class Frail(Engine):
    """Answers after some seconds; the nth start may fail."""

    ops: ClassVar[frozenset[Op]] = frozenset({"generate"})
    window: int = 4
    silence_s: float = 20.0
    starts: Any = Field(default_factory=list)
    """What each start raises; pydantic keeps the list that it is given."""

    @property
    def identity(self) -> str:
        return "frail"

    async def start(self) -> None:
        await asyncio.sleep(3)
        if self.starts and (error := self.starts.pop(0)):
            raise error

    async def generate(self, request: Generate) -> Completion:
        await asyncio.sleep(random.Random(str(request.prompt)).uniform(0, 5))
        return Completion(f"answer to {request.prompt}", "stop", 1, 1)


class Call:
    """A method of an actor, called as Ray calls it."""

    def __init__(self, actor: Any, name: str) -> None:
        self.actor, self.name = actor, name

    def options(self, **_: Any) -> Any:
        return self

    def remote(self, *args: Any) -> Any:
        task = asyncio.ensure_future(self.go(args))
        task.add_done_callback(lambda one: one.cancelled() or one.exception())
        return task

    async def go(self, args: tuple[Any, ...]) -> Any:
        import ray

        self.actor.calls.add(asyncio.current_task())
        try:
            if self.actor.hangs:
                await asyncio.Event().wait()
            if self.actor.dead:
                raise ray.exceptions.RayActorError
            if self.name == "pids":
                return [os.getpid()]
            host = self.actor.host
            made = await (
                host.engine.stop() if self.name == "stop" else getattr(host, self.name)(*args)
            )
            if self.actor.hangs:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            if self.actor.dead:
                raise ray.exceptions.RayActorError from None
            raise
        else:
            return made


class Actor:
    """A host in this process that can be killed and stopped."""

    def __init__(self, engine: Engine) -> None:
        self.host, self.calls = Host(engine), set[Any]()
        self.dead = self.hangs = False

    def __getattr__(self, name: str) -> Call:
        return Call(self, name)

    def end(self) -> None:
        self.dead = True
        for task in (*self.calls, *self.host._tasks.values()):
            task.cancel()


class Near(Replica):
    """A replica whose actor is in this process."""

    def _created(self) -> Any:
        self.made = [*getattr(self, "made", []), Actor(self.engine)]
        return self.made[-1]

    def kill(self) -> None:
        self.actor.end()
        replica._holders.pop(id(self), None)

    async def last_words(self) -> str:
        return ""


async def opened(engine: Frail, n: int, *, is_planned: bool = True) -> tuple[Pool, list[Near]]:
    pool, replicas = Pool(engine), [Near(engine) for _ in range(n)]
    pool.replicas, pool._waiting = [*replicas], Waiting(n, is_planned=is_planned)
    await asyncio.gather(*(replica.start() for replica in replicas))
    pool.resume()
    return pool, replicas


def request(text: str) -> Generate:
    return Generate(text, Sampling(0.0))


FAULTS = st.tuples(
    st.floats(0, 30), st.sampled_from(["kill", "hang", "give up"]), st.integers(0, 99)
)


@settings(max_examples=20)
@given(
    st.integers(1, 3),
    st.booleans(),
    st.lists(st.floats(0, 20), min_size=1, max_size=60),
    st.lists(FAULTS, max_size=6),
    st.lists(st.sampled_from([EngineError("no room"), InputError("no model"), None]), max_size=6),
)
def test_each_request_ends_once_whatever_happens_to_the_actors(
    n, is_planned, moments, faults, restarts
) -> None:
    async def go() -> None:
        engine = Frail(starts=[None] * n + restarts)
        pool, replicas = await opened(engine, n, is_planned=is_planned)

        async def ask(i: int, at: float) -> Any:
            await asyncio.sleep(at)
            while True:
                try:
                    return await pool.ask(request(str(i)))
                except EngineLost:
                    continue

        asked = [asyncio.create_task(ask(i, at)) for i, at in enumerate(moments)]

        async def strike(at: float, fault: str, whom: int) -> None:
            await asyncio.sleep(at)
            if fault == "give up":
                asked[whom % len(asked)].cancel()
            elif fault == "kill":
                replicas[whom % n].actor.end()
            else:
                replicas[whom % n].actor.hangs = True

        await asyncio.gather(*(strike(*fault) for fault in faults))
        ended = asyncio.gather(*asked, return_exceptions=True)
        found = await asyncio.wait_for(ended, 5000)
        for i, one in enumerate(found):
            if isinstance(one, Completion):
                assert one.text == f"answer to {i}"
            else:
                assert isinstance(one, EngineError | InputError | asyncio.CancelledError), one
        gone = all(replica.is_given_up for replica in replicas)
        assert gone or all(not isinstance(one, EngineError | InputError) for one in found)
        assert all(not replica.in_hand for replica in replicas)
        await asyncio.wait_for(pool.stop(), 100)
        assert all(actor.dead for replica in replicas for actor in replica.made)
        await asyncio.sleep(100)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    fast(go())


def test_an_engine_that_can_never_start_again_fails_all_with_its_own_words() -> None:
    async def go() -> list[Any]:
        pool, (replica,) = await opened(Frail(starts=[None, InputError("the model is gone")]), 1)
        waiting = pool.ask(request("a"))
        await asyncio.sleep(0.01)
        replica.actor.end()
        with pytest.raises(EngineLost):
            await waiting
        asked = [pool.ask(request(text)) for text in "bc"]
        found = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 100)
        late = await asyncio.gather(pool.ask(request("d")), return_exceptions=True)
        await pool.stop()
        return [*found, *late]

    found = fast(go())
    assert [(type(one), str(one)) for one in found] == [(InputError, "the model is gone")] * 3


def test_who_is_asked_alone_goes_to_an_engine_that_did_not_just_die() -> None:
    async def go() -> list[bool]:
        pool, replicas = await opened(Frail(), 2)
        with pytest.raises(EngineLost):
            await asyncio.gather(pool.ask(request("a")), struck(replicas[0]))
        await asyncio.sleep(10)
        assert all(replica.is_ready for replica in replicas)
        asked = pool.ask(request("a"))
        await asyncio.sleep(0.1)
        held = [bool(replica.in_hand) for replica in replicas]
        await asked
        await pool.stop()
        return held

    async def struck(replica: Near) -> None:
        await asyncio.sleep(0.1)
        assert replica.in_hand
        replica.actor.end()

    assert fast(go()) == [False, True]


class Deadly(Frail):
    """Kills the actor that it is in, whatever it is asked but the harmless word."""

    replicas: Any = Field(default_factory=list)

    async def generate(self, request: Generate) -> Completion:
        me, actors = asyncio.current_task(), [actor for one in self.replicas for actor in one.made]
        if request != WORD:
            next(actor for actor in actors if me in actor.host._tasks.values()).end()
        return await super().generate(request)


@pytest.mark.parametrize(("n", "at_once"), [(1, 80), (2, 80), (3, 1), (3, 20)])
def test_nothing_but_killers_gives_no_actor_up_and_fails_each_with_its_reason(n, at_once) -> None:
    async def go() -> list[Any]:
        engine = Deadly()
        pool, replicas = await opened(engine, n)
        engine.replicas.extend(replicas)
        remote = Remote(engine=engine)
        remote._pool, suspects = pool, Suspects(remote)

        async def ask(i: int) -> Any:
            for losses in range(4):
                try:
                    return await suspects.ask(request(str(i)), losses)
                except EngineLost:
                    continue

        found = []
        for first in range(0, 80, at_once):
            some = map(ask, range(first, first + at_once))
            found += await asyncio.gather(*some, return_exceptions=True)
        assert not any(replica.is_given_up for replica in replicas)
        await pool.stop()
        return found

    assert {type(one) for one in fast(go())} == {EngineRefused}


def test_a_bug_on_the_way_leaves_nobody_waiting_and_no_actor() -> None:
    async def go() -> list[Any]:
        pool, (replica,) = await opened(Frail(), 1)

        def broken(*_: Any) -> None:
            raise ZeroDivisionError

        pool._waiting.lengths.learn = broken  # type: ignore[method-assign]
        asked = [pool.ask(request(text)) for text in "ab"]
        found = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 100)
        found += await asyncio.gather(pool.ask(request("late")), return_exceptions=True)
        await pool.stop()
        assert replica.actor.dead
        return found

    first, *found = fast(go())
    assert isinstance(first, Completion) or "way to the engine broke" in str(first)
    assert [str(one) for one in found] == ["the way to the engine broke: ZeroDivisionError()"] * 2


def test_engines_end_at_the_same_time() -> None:
    class Slow(Frail):
        async def stop(self) -> None:
            await asyncio.sleep(20)

    async def go() -> float:
        pool, _ = await opened(Slow(), 8)
        began = asyncio.get_running_loop().time()
        await pool.stop()
        return asyncio.get_running_loop().time() - began

    assert fast(go()) < 30


class OnGpu(Frail):
    """Wants one."""

    model: str
    tensor_parallel_size: int = 1


def test_who_waits_for_a_gpu_says_so_and_who_has_it(monkeypatch, caplog) -> None:
    monkeypatch.setattr(cluster, "gpus", lambda: [1.0])

    async def go() -> None:
        holder, other = Near(OnGpu(model="small")), Near(OnGpu(model="large"))
        await holder.start()
        starting = asyncio.create_task(other.start())
        await asyncio.sleep(0)
        other.actor.hangs = True  # as Ray has no room for it
        await asyncio.sleep(130)
        await holder.stop()
        await asyncio.sleep(60)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)

    fast(go())
    told = [record.message for record in caplog.records if "GPU" in record.message]
    begins = "OnGpu large has waited {} s for 1 of the cluster's 1 GPUs, held by {}; lower replicas"
    small, nobody = "OnGpu small", "nobody here: another job has them"
    held = [(60, small), (120, small), (180, nobody)]
    assert [line.startswith(begins.format(*one)) for line, one in zip(told, held, strict=True)] == [
        True
    ] * 3, told


@pytest.mark.parametrize(
    ("there", "takes"), [([], 0.0), ([2.0, 4.0], 4.0), ([8.0], 4.0), ([2.0, 2.0, 1.0], None)]
)
def test_the_gpus_of_an_engine_are_those_of_one_machine(monkeypatch, there, takes) -> None:
    """Two machines of two are no machine of four: Ray would wait for one without end."""
    monkeypatch.setattr(cluster, "gpus", lambda: there)
    one = Near(OnGpu(model="large", tensor_parallel_size=4))
    if takes is None:
        with pytest.raises(RequirementError, match=r"=4, .* the cluster's machines have 2, 2, 1"):
            fast(one.start())
    else:
        assert one._gpus == takes
