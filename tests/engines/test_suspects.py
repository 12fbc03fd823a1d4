"""A prompt that kills the engine costs its own row and no other, however many such there are."""

import asyncio
import random
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from gristmill.engines.base import Engine
from gristmill.engines.client import Client
from gristmill.engines.leases import Withdrawn
from gristmill.engines.replica import RESTARTS
from gristmill.engines.requests import Completion, Generate, Op, Sampling
from gristmill.engines.suspects import BROKEN, FEW, WORD, Suspects
from gristmill.errors import EngineError, EngineLost, EngineRefused, RequirementError
from gristmill.storage.answers import Answers


class Mortal(Engine):
    """Dies of some prompts, and everything that it holds is lost."""

    ops: ClassVar[frozenset[Op]] = frozenset({"generate"})
    killers: frozenset[int] = frozenset()
    held: set[Any] = Field(default_factory=set)
    is_broken: bool = False
    """Then it dies of everything."""
    deaths: list[int] = Field(default_factory=list)
    """How many requests each death took along."""
    words: list[Any] = Field(default_factory=list)
    """When it was asked the word: after how many deaths."""

    @property
    def identity(self) -> str:
        return "mortal"

    async def generate(self, request: Generate) -> Completion:
        mine = asyncio.get_running_loop().create_future()
        self.held.add(mine)
        try:
            for _ in range(random.Random(str(request.prompt)).randrange(4)):
                await asyncio.sleep(0)
            if request == WORD:
                self.words.append(len(self.deaths))
            kills = request != WORD and int(str(request.prompt)) in self.killers
            if (kills or self.is_broken) and not mine.cancelled():
                self.deaths.append(len(self.held))
                for one in self.held:
                    one.cancel()
            await asyncio.sleep(0)
            if mine.cancelled():
                raise EngineLost("out of memory")
        finally:
            self.held.discard(mine)
        return Completion(f"answer to {request.prompt}", "stop", 1, 1, "mortal")


@given(n=st.integers(1, 150), killers=st.sets(st.integers(0, 149)))
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
    engine = Mortal(is_broken=True)
    answers = Answers(tmp_path / "answers.sqlite")
    client = Client(engine, answers)

    async def go() -> list[Any]:
        asked = (client.ask(Generate(str(i), Sampling(0.0))) for i in range(50))
        return await asyncio.gather(*asked, return_exceptions=True)

    made = asyncio.run(go())
    answers.close()
    assert {type(found) for found in made} == {RequirementError}, "a row was blamed"
    assert all("it is broken, not what it was asked" in str(found) for found in made)
    first = engine.words[0]
    assert engine.deaths[first - 1 : first + 1] == [1, 1]


class Sudden(Mortal):
    """Loses at once all that it holds, as an actor does; then it takes what waits together."""

    async def generate(self, request: Generate) -> Completion:
        loop = asyncio.get_running_loop()
        mine: asyncio.Future[Completion] = loop.create_future()
        self.held.add(mine)
        loop.call_soon(self._serve, request, mine)
        return await mine

    def _serve(self, request: Generate, mine: asyncio.Future[Completion]) -> None:
        if mine.done():
            return
        if request != WORD and int(str(request.prompt)) in self.killers:
            self.deaths.append(len(self.held))
            for one in self.held:
                one.set_exception(EngineLost("out of memory"))
            self.held.clear()
            return
        if request == WORD:
            self.words.append(len(self.deaths))
        self.held.remove(mine)
        mine.set_result(Completion("yes", "stop", 1, 1))


@pytest.mark.parametrize("at_once", [1, 2, 3, FEW, FEW + 4, 60])
def test_a_row_of_killers_lets_the_engine_answer_before_its_actor_is_given_up(
    tmp_path: Path, at_once: int
) -> None:
    engine = Sudden(killers=frozenset(range(60)))
    answers = Answers(tmp_path / "answers.sqlite")
    client = Client(engine, answers)

    async def go() -> None:
        for first in range(0, 60, at_once):
            asked = (
                Generate(str(i), Sampling(0.0)) for i in range(first, min(60, first + at_once))
            )
            found = await asyncio.gather(*map(client.ask, asked), return_exceptions=True)
            assert {type(one) for one in found} == {EngineRefused}

    asyncio.run(go())
    answers.close()
    answered = [0, *engine.words, len(engine.deaths)]
    most = max(after - before for before, after in pairwise(answered))
    assert most <= RESTARTS, "an actor that dies so often without an answer is given up"


async def told(call: Any) -> Any:
    (found,) = await asyncio.gather(call, return_exceptions=True)
    return found


class Told(Engine):
    """Lets a test say what becomes of each request."""

    ops: ClassVar[frozenset[Op]] = frozenset({"generate", "embed"})
    asked: list[Any] = Field(default_factory=list)
    ends: dict[str, Any] = Field(default_factory=dict)

    @property
    def identity(self) -> str:
        return "told"

    async def generate(self, request: Generate) -> Completion:
        self.asked.append(request)
        if error := self.ends.get(str(request.prompt)):
            raise error
        return Completion("yes", "stop", 1, 1)


LOST = EngineLost("out of memory")


@pytest.mark.parametrize(
    ("known", "end", "after"),
    [
        ("a", None, EngineRefused),
        (None, None, EngineRefused),
        ("a", EngineRefused("no"), EngineRefused),
        ("a", LOST, RequirementError),
        ("a", EngineError("it died 7 times"), RequirementError),
        ("a", Withdrawn(), EngineRefused),
    ],
)
def test_what_the_harmless_request_says_decides_who_is_to_blame(known, end, after) -> None:
    """`known` has had an answer, and ends so when it is asked after a death."""
    engine = Told(ends={"b": LOST})
    suspects = Suspects(engine)
    if known:
        suspects.has_answer(Generate(known, Sampling(0.0)))
        engine.ends[known] = end
    for n in (1, 2):
        found = asyncio.run(told(suspects.ask(Generate("b", Sampling(0.0)), 2)))
        assert type(found) is after
        is_blamed = after is EngineRefused
        asked = ["b", known or WORD.prompt] * (1 if is_blamed else n)
        assert [request.prompt for request in engine.asked] == asked


def test_several_have_to_kill_an_engine_that_nothing_is_known_to_be_harmless_to() -> None:
    engine = Told(ends=dict.fromkeys("bcdef", LOST))
    suspects = Suspects(engine)
    suspects.harmless = None

    async def go() -> list[Any]:
        return [await told(suspects.ask(Generate(text, Sampling(0.0)), 2)) for text in "bcde"]

    made = asyncio.run(go())
    assert [type(found) for found in made] == [EngineRefused] * (BROKEN - 1) + [RequirementError]
    assert f"died of {BROKEN} requests" in str(made[-1])
    assert [request.prompt for request in engine.asked] == [*"bcde"]


class Counting(Told):
    """Says how many requests of each kind are inside at most."""

    inside: list[int] = Field(default_factory=list)
    most: dict[int, int] = Field(default_factory=dict)

    async def generate(self, request: Generate) -> Completion:
        losses = int(str(request.prompt))
        self.inside.append(losses)
        for _ in range(3):
            if losses == 2:
                assert self.inside == [2]
            self.most[losses] = max(self.most.get(losses, 0), self.inside.count(losses))
            await asyncio.sleep(0)
        self.inside.remove(losses)
        self.asked.append(losses)
        return Completion("yes", "stop", 1, 1)


def test_who_was_lost_twice_is_alone_and_who_was_lost_once_among_few() -> None:
    engine = Counting()
    suspects = Suspects(engine)

    async def go() -> None:
        order = [i % 3 for i in range(120)]
        random.Random(3).shuffle(order)
        asked = (suspects.ask(Generate(str(n), Sampling(0.0)), n) for n in order)
        await asyncio.gather(*asked)

    asyncio.run(go())
    assert engine.most[0] > FEW
    assert (engine.most[1], engine.most[2]) == (FEW, 1)
    first, last = engine.asked.index(2), len(engine.asked) - engine.asked[::-1].index(2)
    assert engine.asked[first:last] == [2] * 40, "it emptied more than once for them"
