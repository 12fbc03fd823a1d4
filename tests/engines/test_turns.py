"""An engine of this process gets as many requests as it takes, the others in planned order."""

import asyncio
import json
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

from gristmill import Recipe, run
from gristmill.engines.base import Engine
from gristmill.engines.requests import Completion, Generate, Op, Sampling
from gristmill.engines.scripted import Scripted
from gristmill.engines.turns import InTurn, in_turn
from gristmill.errors import EngineError

SAMPLING = Sampling(0.0)


def for_ever(name: str) -> Generate:
    return Generate(f"for ever {name}", SAMPLING)


class Slow(Engine):
    """Remembers what came in, and how many it held at most."""

    ops: ClassVar[frozenset[Op]] = frozenset({"generate"})
    order: str = "planned"
    window: int = 4

    @property
    def identity(self) -> str:
        return "slow"

    @property
    def seen(self) -> dict[str, Any]:
        return self.__dict__.setdefault("seen_", {"came": [], "inside": 0, "most": 0, "ended": 0})

    async def generate(self, request: Generate) -> Completion:
        seen, prompt = self.seen, str(request.prompt)
        seen["came"].append(prompt)
        seen["inside"] += 1
        seen["most"] = max(seen["most"], seen["inside"])
        try:
            await asyncio.sleep(9 if "for ever" in prompt else 0.002)
        finally:
            seen["inside"] -= 1
            seen["ended"] += 1
        if "bad" in prompt:
            raise EngineError("broken")
        return Completion(prompt.upper(), "stop", 1, 1)


def asked(engine: Slow, prompts: list[str]) -> list[Any]:
    async def go() -> list[Any]:
        held = InTurn(engine=engine)
        await held.start()
        calls = (held.generate(Generate(prompt, SAMPLING)) for prompt in prompts)
        found = await asyncio.gather(*calls, return_exceptions=True)
        await held.stop()
        return found

    return asyncio.run(go())


def test_those_that_begin_alike_leave_together_and_never_more_than_fit() -> None:
    prompts = [f"{'abc'[i % 3] * 200} question {i}" for i in range(60)]
    engine = Slow()
    assert asked(engine, prompts) == [Completion(p.upper(), "stop", 1, 1) for p in prompts]
    came = engine.seen["came"]
    assert sorted(came) == sorted(prompts)
    assert sum(one[0] != other[0] for one, other in pairwise(came)) == 2
    assert engine.seen["most"] == 4


def test_an_error_is_its_own_requests_and_the_others_go_on() -> None:
    found = asked(Slow(window=1), ["one", "bad", "two"])
    assert [type(one) for one in found] == [Completion, EngineError, Completion]


def test_who_gives_up_leaves_room_whether_inside_or_waiting() -> None:
    async def go(engine: Slow) -> Any:
        held = InTurn(engine=engine)
        await held.start()
        stuck = [asyncio.create_task(held.generate(for_ever(i))) for i in "ab"]
        await asyncio.sleep(0.02)
        for task in stuck:
            task.cancel()
        made = await held.generate(Generate("next", SAMPLING))
        await held.stop()
        return made

    engine = Slow(window=1)
    assert asyncio.run(go(engine)).text == "NEXT"
    assert engine.seen["came"] == ["for ever a", "next"]


def test_what_waits_when_it_stops_fails() -> None:
    async def go(engine: Slow) -> Any:
        held = InTurn(engine=engine)
        await held.start()
        calls = [asyncio.create_task(held.generate(for_ever(i))) for i in "ab"]
        await asyncio.sleep(0.02)
        await held.stop()
        return await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 5)

    found = asyncio.run(go(Slow(window=1)))
    assert all(isinstance(one, EngineError) for one in found)


def test_only_an_engine_that_asks_for_order_is_planned() -> None:
    assert isinstance(in_turn(Slow()), InTurn)
    for other in (Slow(order="arrival"), Scripted()):
        assert in_turn(other) is other


def test_a_local_run_is_planned_and_its_report_can_say_so(tmp_path: Path) -> None:
    recipe = Recipe(name="turns", seed=1, stages=[{"use": "generators.responses", "n": 2}])
    seeds = [{"instruction": f"{'ab'[i % 2] * 100} question {i}"} for i in range(20)]
    engine = Slow()
    made = run(recipe, seeds, {"generator": engine}, workspace=tmp_path)
    assert made.note["calls"]["made"] == 40
    came = engine.seen["came"]
    assert sum(("a" * 64 in one) != ("a" * 64 in other) for one, other in pairwise(came)) == 1
    (bill,) = (json.loads(path.read_text()) for path in made.path.glob("costs/*.json"))
    assert bill["engines"]["generator"]["planner:shared_characters"] > 40 * 64 / 2
