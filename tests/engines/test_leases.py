"""Engines that share slots: never more loaded than fit, nobody waits for ever, rows stay right."""

import asyncio
import logging
import selectors
import subprocess
import sys
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from audit import audit
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill import Recipe, run
from gristmill.engines import leases
from gristmill.engines.base import Engine
from gristmill.engines.client import Client, connect, stop_all
from gristmill.engines.leases import LINGER, TIMES, Withdrawn, release
from gristmill.engines.requests import Completion, Generate, Op, Sampling
from gristmill.engines.suspects import WORD
from gristmill.engines.turns import in_turn
from gristmill.errors import EngineError, EngineLost, GristmillError, RequirementError


class Jump(selectors.SelectSelector):
    """Instead of waiting, lets the loop's time jump."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found and timeout:
            self.now += timeout
        return found


class FastLoop(asyncio.SelectorEventLoop):
    """Seconds pass at once, and the same way every time."""

    def time(self) -> float:
        return self._selector.now  # type: ignore[attr-defined,no-any-return]


def fast(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=lambda: FastLoop(Jump())) as runner:
        return runner.run(work)


class Room:
    """Which engines are loaded, and what happened when."""

    def __init__(self) -> None:
        self.loaded: set[str] = set()
        self.most = 0
        self.log: list[tuple[str, str, float]] = []

    def note(self, what: str, name: str) -> None:
        self.log.append((what, name, asyncio.get_running_loop().time()))

    def names(self, what: str) -> list[str]:
        return [name for did, name, _ in self.log if did == what]


class Model(Engine):
    """Loads for a while, answers after a while, takes four requests at a time."""

    ops: ClassVar[frozenset[Op]] = frozenset({"generate"})
    hosted: ClassVar[bool] = True
    order: str = "planned"
    window: int = 4
    name: str
    room: Any
    load_s: float = 10.0
    answer_s: float = 1.0

    @property
    def identity(self) -> str:
        return self.name

    async def start(self) -> None:
        self.room.loaded.add(self.name)
        self.room.most = max(self.room.most, len(self.room.loaded))
        self.room.note("start", self.name)
        await asyncio.sleep(self.load_s)

    async def stop(self) -> None:
        if self.name in self.room.loaded:
            self.room.note("stop", self.name)
            self.room.loaded.remove(self.name)

    async def generate(self, request: Generate) -> Completion:
        assert self.name in self.room.loaded, f"{self.name} is asked while it is not loaded"
        await asyncio.sleep(self.answer_s)
        self.room.note("answer", self.name)
        return Completion(f"{self.name}: {request.prompt}", "stop", 1, 1)


def ask(text: str) -> Generate:
    return Generate(text, Sampling(0.0))


class Store(dict[str, bytes]):
    """An answer store without a thread, for which this loop's time would not wait."""

    def __init__(self) -> None:
        self.pending: dict[str, Any] = {}

    async def put(self, key: str, answer: bytes) -> None:
        self[key] = answer


def clients(engines: Mapping[str, Engine], slots: int | None) -> tuple[dict[str, Client], int]:
    store: Any = Store()
    return connect(engines, store, in_turn, lambda: None, slots)


def served(slots: int, engines: dict[str, Model], rows: list[list[str]]) -> Room:
    """Let every row ask its roles one after the other, each with the answer of the one before."""
    room = next(iter(engines.values())).room

    async def go() -> None:
        roles, _ = clients(engines, slots)

        async def row(i: int, steps: list[str]) -> str:
            text = f"row {i}"
            for role in steps:
                _, made = await roles[role].ask(ask(text))
                text = made.text
            return text

        made = await asyncio.gather(*(row(i, steps) for i, steps in enumerate(rows)))
        await stop_all(roles.values())
        for i, (text, steps) in enumerate(zip(made, rows, strict=True)):
            assert text == "".join(f"{role}: " for role in reversed(steps)) + f"row {i}"

    fast(go())
    return room


def models(room: Room, *names: str, **more: Any) -> dict[str, Model]:
    return {name: Model(name=name, room=room, **more) for name in names}


@settings(max_examples=40)
@given(
    st.integers(1, 2),
    st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=5), min_size=1, max_size=25),
    st.lists(st.sampled_from([0.0, 0.3, 7.0]), min_size=4, max_size=4),
    st.sampled_from([0.0, 2.0, 30.0]),
)
def test_every_row_is_answered_whoever_it_needs_next(slots, rows, answer_s, load_s) -> None:
    room = Room()
    engines = {
        name: Model(name=name, room=room, load_s=load_s, answer_s=s)
        for name, s in zip("abcd", answer_s, strict=True)
    }
    served(slots, engines, rows)
    assert room.most <= slots
    assert not room.loaded
    assert len(room.names("answer")) == sum(map(len, rows))


def test_a_holder_stays_until_it_has_nothing_to_do() -> None:
    room = served(1, models(Room(), "a", "b"), [["a", "b"]] * 20)
    assert room.names("start") == ["a", "b"]
    assert room.names("answer") == ["a"] * 20 + ["b"] * 20
    (stopped,) = (at for what, name, at in room.log if (what, name) == ("stop", "a"))
    # Ten seconds to load, five batches of four, and a moment for those that might come back.
    assert stopped == pytest.approx(10 + 5 + LINGER * 10, abs=0.1)


def test_a_holder_leaves_after_ten_times_the_switch_and_comes_back_for_the_rest() -> None:
    rows = [["a"]] * 1000 + [["b"]]
    room = served(1, models(Room(), "a", "b"), rows)
    assert room.names("start") == ["a", "b", "a"]
    first = room.names("answer").index("b")
    # 100 s are 100 batches of four; one more is inside when the time is over.
    assert first == pytest.approx(4 * TIMES * 10, abs=8)
    assert room.names("answer").count("a") == 1000


def test_the_one_that_is_due_first_goes_first() -> None:
    async def load() -> None:
        await asyncio.sleep(1)

    async def rest() -> None:
        await asyncio.sleep(0)

    async def go() -> float:
        slots = leases.Slots(2)
        idle, busy, *late = (leases.Seat(slots, name, load, rest, lambda: None) for name in "abcd")
        await asyncio.gather(idle.enter(), busy.enter())
        idle.leave()
        began = asyncio.get_running_loop().time()
        asked = [asyncio.ensure_future(seat.enter()) for seat in late]
        await asked[0]
        waited = asyncio.get_running_loop().time() - began
        busy.leave()
        await asked[1]
        return waited

    assert fast(go()) < 2  # the idle one's moment and a switch, not ten switches


def test_nobody_who_waits_is_passed_over() -> None:
    """Three that never run dry take turns in the order in which they came."""
    rows = [["a"]] * 200 + [["b"]] * 200 + [["c"]] * 200
    room = served(1, models(Room(), "a", "b", "c", load_s=0.5), rows)
    turns = room.names("start")
    assert turns[:6] == ["a", "b", "c"] * 2
    assert len(turns) > 15


def test_engines_that_fit_and_those_of_no_weight_take_no_turns() -> None:
    room = Room()

    class Light(Model):
        hosted: ClassVar[bool] = False

    heavy, light = models(room, "a", "b"), Light(name="c", room=room)
    engines = {**heavy, "judge": heavy["b"], "c": light}
    for slots, crowd in ((None, 1), (2, 1), (1, 2)):
        assert clients(engines, slots)[1] == crowd
    served(1, engines, [["c"], ["a", "c"]])
    assert room.names("start").count("c") == 1


def test_who_waits_long_says_who_keeps_it_waiting(caplog) -> None:
    with caplog.at_level(logging.WARNING):
        served(1, models(Room(), "a", "b", load_s=30.0), [["a"]] * 1200 + [["b"]])
    told = [record.message for record in caplog.records]
    assert len(told) == 5
    assert told[0] == "b has waited 60 s for a slot, held by a for 30 s with 1084 requests"


def test_an_engine_that_cannot_start_is_no_reason_to_wait_for_it() -> None:
    class Broken(Model):
        async def start(self) -> None:
            raise EngineError("no room")

    async def go() -> Any:
        room = Room()
        engines = {**models(room, "a"), "b": Broken(name="b", room=room)}
        roles, _ = clients(engines, 1)
        asked = [roles[name].ask(ask("x")) for name in "bba"]
        found = await asyncio.gather(*asked, return_exceptions=True)
        await stop_all(roles.values())
        return found

    *lost, (_, made) = fast(go())
    assert all(isinstance(error, RequirementError) for error in lost)
    assert made.text == "a: x"


def test_what_still_waits_at_the_end_starts_nothing() -> None:
    async def go() -> Room:
        room = Room()
        roles, _ = clients(models(room, "a", "b"), 1)
        tasks = [asyncio.create_task(roles[name].ask(ask(name))) for name in "ab"]
        await asyncio.sleep(10.5)
        await stop_all(roles.values())
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(error, asyncio.CancelledError) for error in found)
        return room

    assert fast(go()).names("start") == ["a"]


@pytest.mark.parametrize("error", [EngineLost, EngineError])
def test_a_request_that_loses_its_slot_between_its_tries_has_no_more_of_them(error) -> None:
    class Poisoned(Model):
        async def generate(self, request: Generate) -> Completion:
            if request == WORD:  # is it the engine or the request?
                raise Withdrawn
            self.room.note("tried", self.name)
            if len(self.room.names("tried")) % 2:
                raise error("once more")
            raise Withdrawn

    async def go() -> int:
        room = Room()
        roles, _ = clients({"a": Poisoned(name="a", room=room)}, None)
        with pytest.raises(EngineError, match="once more"):
            await asyncio.wait_for(roles["a"].ask(ask("x")), 100)
        await stop_all(roles.values())
        return len(room.names("tried"))

    assert fast(go()) == 5, "three tries, and twice it had not begun"


class Processes(Engine):
    """Says that it runs in processes that may survive it."""

    ops: ClassVar[frozenset[Op]] = frozenset()
    child: Any
    is_tidy: bool

    @property
    def identity(self) -> str:
        return "processes"

    async def pids(self) -> list[list[int]]:
        return [[self.child.pid]]

    async def stop(self) -> None:
        if self.is_tidy:
            self.child.kill()


@pytest.mark.parametrize("is_tidy", [True, False])
def test_a_slot_is_free_when_the_processes_are_gone(is_tidy, monkeypatch) -> None:
    monkeypatch.setattr(leases, "RELEASE_S", 0.2)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        engine = Processes(child=child, is_tidy=is_tidy)
        if is_tidy:
            asyncio.run(release(engine, "judge"))
        else:
            with pytest.raises(RequirementError, match=rf"judge has stopped .*: {child.pid} \(\d+"):
                asyncio.run(release(engine, "judge"))
        child.kill()


def test_generator_and_judge_on_one_slot_give_the_same_rows_and_resume(tmp_path: Path) -> None:
    stages = [
        {"use": "generators.responses", "n": 2},
        {"use": "scorers.skills", "as": "first"},
        {"use": "generators.responses", "as": "again", "n": 1},
        {"use": "scorers.skills"},
    ]
    seeds = [{"instruction": f"question {i}"} for i in range(30)]

    def once(slots: int | None, folder: str, judge: type[Model] = Model) -> tuple[Any, Room]:
        room = Room()
        quick = {"room": room, "load_s": 0.01, "answer_s": 0.001}
        engines = {"generator": Model(name="g", **quick), "judge": judge(name="j", **quick)}
        recipe = Recipe(name="slots", seed=3, stages=stages, slots=slots)
        return run(recipe, seeds, engines, workspace=tmp_path / folder), room

    apart, room = once(None, "apart")
    assert room.most == 2
    shared, room = once(1, "shared")
    assert room.most == 1
    assert audit(shared.path) == []
    assert shared.dataset.equals(apart.dataset)
    assert shared.ledger == apart.ledger
    n_answers = len(room.names("answer"))

    class Ends(Model):
        async def generate(self, request: Generate) -> Completion:
            if len(self.room.names("answer")) > 80:
                raise RequirementError("the machine goes away")
            return await super().generate(request)

    with pytest.raises(RequirementError, match="goes away"):
        once(1, "ended", Ends)
    ended, room = once(1, "ended")
    assert ended.dataset.equals(apart.dataset)
    assert 0 < len(room.names("answer")) <= n_answers - 80


def test_an_engine_that_cannot_leave_its_slot_leaves_nobody_waiting() -> None:
    class Stuck(Model):
        async def rest(self) -> None:
            raise EngineError("its memory is held")

    async def go() -> list[Any]:
        room = Room()
        engines = {"a": Stuck(name="a", room=room), **models(room, "b")}
        roles, _ = clients(engines, 1)
        asked = [asyncio.ensure_future(roles[name].ask(ask(name))) for name in "ab"]
        found = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 500)
        for name in "ab":  # nobody tells those who come later but the line itself
            later = roles[name].ask(ask(f"{name} later"))
            found += await asyncio.wait_for(asyncio.gather(later, return_exceptions=True), 500)
        await stop_all(roles.values())
        return found

    (_, made), *lost = fast(go())
    assert made.text == "a: a"
    assert [str(error) for error in lost] == ["its memory is held"] * 3


@settings(max_examples=60)
@given(
    st.sampled_from([1, 2, None]),
    st.lists(st.sampled_from("abc"), min_size=1, max_size=12),
    st.floats(0, 40),
    st.lists(st.sampled_from(["fine", "cannot start", "cannot end"]), min_size=3, max_size=3),
)
def test_a_run_that_stops_at_any_moment_leaves_no_engine_and_no_task(
    slots, roles_asked, stops_at, healths
) -> None:
    class Frail(Model):
        health: str

        async def start(self) -> None:
            await super().start()
            if self.health == "cannot start":
                self.room.loaded.remove(self.name)
                raise EngineError("no room")

        async def rest(self) -> None:
            if self.health == "cannot end":
                raise EngineError("its memory is held")
            await super().rest()

    async def go() -> None:
        room = Room()
        engines = {
            name: Frail(name=name, room=room, health=health, load_s=3.0)
            for name, health in zip("abc", healths, strict=True)
        }
        roles, _ = clients(engines, slots)
        asked = [
            asyncio.ensure_future(roles[name].ask(ask(f"{i}")))
            for i, name in enumerate(roles_asked)
        ]
        await asyncio.sleep(stops_at)
        await asyncio.wait_for(stop_all(roles.values()), 500)
        found = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 500)
        assert all(
            isinstance(one, tuple | asyncio.CancelledError | GristmillError) for one in found
        ), found
        await asyncio.sleep(100)
        assert not room.loaded
        assert asyncio.all_tasks() == {asyncio.current_task()}

    fast(go())
