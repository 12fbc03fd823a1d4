"""One prompt that kills the engine costs its own row, and no other."""

import asyncio
import random
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from gristmill.engines.base import Engine
from gristmill.engines.client import Client
from gristmill.engines.requests import Completion, Generate, Op, Sampling
from gristmill.engines.suspects import BROKEN, FEW, Suspects
from gristmill.errors import EngineLost, EngineRefused, RequirementError
from gristmill.storage.answers import Answers


class Mortal(Engine):
    """Dies of some prompts, and everything that it holds is lost."""

    ops: ClassVar[frozenset[Op]] = frozenset({"generate"})
    killers: frozenset[int] = frozenset()
    held: set[Any] = Field(default_factory=set)
    deaths: list[int] = Field(default_factory=list)
    """How many requests each death took along."""

    @property
    def identity(self) -> str:
        return "mortal"

    async def generate(self, request: Generate) -> Completion:
        mine = asyncio.get_running_loop().create_future()
        self.held.add(mine)
        try:
            for _ in range(random.Random(str(request.prompt)).randrange(4)):
                await asyncio.sleep(0)
            if int(str(request.prompt)) in self.killers and not mine.cancelled():
                self.deaths.append(len(self.held))
                for one in self.held:
                    one.cancel()
            await asyncio.sleep(0)
            if mine.cancelled():
                raise EngineLost("out of memory")
        finally:
            self.held.discard(mine)
        return Completion(f"answer to {request.prompt}", "stop", 1, 1, "mortal")


# Of more in a row, with no answer between, the engine is to blame.
@given(n=st.integers(1, 150), killers=st.sets(st.integers(0, 149), max_size=BROKEN - 1))
def test_only_what_kills_the_engine_fails(tmp_path_factory: Any, n: int, killers: set[int]) -> None:
    engine = Mortal(killers=frozenset(killers))
    answers = Answers(tmp_path_factory.mktemp("mortal") / "answers.sqlite")
    client = Client(engine, answers)
    asked = [client.ask(Generate(str(i), Sampling(0.0))) for i in range(n)]

    async def go() -> list[Any]:
        return await asyncio.gather(*asked, return_exceptions=True)

    made = asyncio.run(go())
    answers.close()
    failed = {i for i, found in enumerate(made) if isinstance(found, EngineRefused)}
    assert failed == {i for i in killers if i < n}
    assert all(found[1].text == f"answer to {i}" for i, found in enumerate(made) if i not in failed)
    assert len(engine.deaths) <= 3 * len(failed)
    assert engine.deaths.count(1) >= len(failed)


def test_the_error_says_that_it_was_alone(tmp_path: Path) -> None:
    answers = Answers(tmp_path / "answers.sqlite")
    client = Client(Mortal(killers=frozenset({7})), answers)
    with pytest.raises(EngineRefused, match=r"each time .* nothing else in hand: out of memory"):
        asyncio.run(client.ask(Generate("7", Sampling(0.0))))
    answers.close()


def test_other_draws_of_the_same_prompt_are_not_asked_again(tmp_path: Path) -> None:
    engine = Mortal(killers=frozenset({7}))
    answers = Answers(tmp_path / "answers.sqlite")
    client = Client(engine, answers)
    draws = [Generate(text, Sampling(1.0), draw) for text in ("7", "8") for draw in range(8)]

    async def go() -> list[Any]:
        return await asyncio.gather(*map(client.ask, draws), return_exceptions=True)

    made = asyncio.run(go())
    answers.close()
    assert [isinstance(found, EngineRefused) for found in made] == [True] * 8 + [False] * 8
    assert len(engine.deaths) <= 4
    assert engine.deaths.count(1) == 1


def test_an_engine_that_dies_of_everything_ends_the_run(tmp_path: Path) -> None:
    engine = Mortal(killers=frozenset(range(50)))
    answers = Answers(tmp_path / "answers.sqlite")
    client = Client(engine, answers)

    async def go() -> list[Any]:
        asked = (client.ask(Generate(str(i), Sampling(0.0))) for i in range(50))
        return await asyncio.gather(*asked, return_exceptions=True)

    made = asyncio.run(go())
    answers.close()
    assert any("it is broken, not they" in str(found) for found in made)
    assert {type(found) for found in made} == {EngineRefused, RequirementError}


def test_who_was_lost_twice_is_alone_and_who_was_lost_once_among_few() -> None:
    request, suspects, inside = Generate("x", Sampling(0.0)), Suspects(), list[int]()
    most: dict[int, int] = {}

    async def call(losses: int) -> None:
        inside.append(losses)
        for _ in range(3):
            if losses == 2:
                assert inside == [2]
            most[losses] = max(most.get(losses, 0), inside.count(losses))
            await asyncio.sleep(0)
        inside.remove(losses)

    async def go() -> None:
        order = [i % 3 for i in range(120)]
        random.Random(3).shuffle(order)
        await asyncio.gather(*(suspects.ask(request, n, partial(call, n)) for n in order))

    asyncio.run(go())
    assert most[0] > FEW
    assert (most[1], most[2]) == (FEW, 1)
