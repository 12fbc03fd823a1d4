"""What a stage may do with a call besides awaiting it."""

import asyncio
import gc
import warnings

import pytest

from gristmill.engines.client import Client
from gristmill.engines.requests import Sampling
from gristmill.pipelines import Context
from gristmill.storage.answers import Answers


@pytest.fixture
def ctx(tmp_path, engine):
    answers = Answers(tmp_path / "answers")
    yield Context({"generator": Client(engine(), answers)}, 0, "label", "id")
    answers.close()


def test_a_call_that_is_given_up_leaves_nothing_behind(ctx) -> None:
    async def interrupted() -> None:
        calls = [ctx.llm("generator").generate(f"{i}", Sampling()) for i in range(3)]
        raise KeyboardInterrupt(len(calls))

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(interrupted())
        gc.collect()
    assert [str(warning.message) for warning in said if "awaited" in str(warning.message)] == []


def test_calls_keep_their_places_however_they_are_awaited(ctx) -> None:
    async def go(context: Context) -> list[str]:
        llm = context.llm("generator")
        late, *more = (llm.generate(f"{i}", Sampling()) for i in range(3))
        await asyncio.gather(*more)
        await asyncio.wait_for(late, 5)
        return context.used()[0]

    async def one_by_one(context: Context) -> list[str]:
        for i in range(3):
            await context.llm("generator").generate(f"{i}", Sampling())
        return context.used()[0]

    keys = asyncio.run(go(ctx))
    assert len(set(keys)) == 3
    assert asyncio.run(one_by_one(Context(ctx.roles, 0, "label", "id"))) == keys
