import asyncio
import json
import sqlite3
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill import Recipe, run
from gristmill.engines.client import Client, Starter
from gristmill.engines.named import build_engines
from gristmill.engines.requests import Completion, Generate, Sampling
from gristmill.engines.scripted import Scripted
from gristmill.errors import EngineError, EngineRefused, RequirementError, StorageError
from gristmill.storage.answers import Answers

GREEDY = Generate("x", Sampling(0.0))


class Counting(Scripted):
    """Says how often it was asked: two answers to one request differ, as on a GPU."""

    async def generate(self, request: Generate) -> Any:
        self.__dict__["asked"] = self.__dict__.get("asked", 0) + 1
        await asyncio.sleep(0.01)
        made = await super().generate(request)
        return type(made)(f"answer {self.__dict__['asked']}", "stop", 1, 2)


def test_two_roles_that_ask_the_same_get_the_one_answer_that_is_stored(tmp_path) -> None:
    answers, engine = Answers(tmp_path / "answers.sqlite"), Counting()
    one, other = Client(engine, answers), Client(engine, answers)

    async def both() -> Any:
        return await asyncio.gather(one.ask(GREEDY), other.ask(GREEDY))

    (_, first), (_, second) = asyncio.run(both())
    assert first == second == other.stored(GREEDY)[1]
    assert engine.__dict__["asked"] == 1
    assert answers.pending == {}
    answers.close()


def test_roles_that_ask_for_the_same_engine_share_it_and_it_starts_and_stops_once(tmp_path) -> None:
    entry = {"use": "scripted", "max_words": 9}
    recipe = Recipe.model_validate(
        {
            "name": "shared",
            "engines": {"generator": entry, "judge": entry, "other": {**entry, "max_words": 8}},
            "stages": [{"use": "generators.responses"}],
        }
    )
    built = build_engines("x", recipe.engines)
    assert built["generator"] is built["judge"]
    assert built["generator"] is not built["other"]

    class Slow(Scripted):
        async def start(self) -> None:
            self.__dict__["starts"] = self.__dict__.get("starts", 0) + 1
            await asyncio.sleep(0.01)

        async def stop(self) -> None:
            self.__dict__["stops"] = self.__dict__.get("stops", 0) + 1

    answers, engine = Answers(tmp_path / "answers.sqlite"), Slow()
    starter = Starter(engine)
    clients = [Client(engine, answers, starter=starter) for _ in range(2)]

    async def go() -> None:
        asked = [Generate(f"{i}", Sampling(0.0)) for i in range(2)]
        await asyncio.gather(*(c.ask(r) for c, r in zip(clients, asked, strict=True)))
        for client in clients:
            await client.stop()

    asyncio.run(go())
    assert (engine.__dict__["starts"], engine.__dict__["stops"]) == (1, 1)
    answers.close()


def test_an_engine_that_cannot_start_ends_the_run_with_its_own_words(tmp_path) -> None:
    class Broken(Scripted):
        async def start(self) -> None:
            raise EngineError("no room for the KV cache; lower max_model_len")

    recipe = Recipe.model_validate(
        {"name": "broken", "stages": [{"use": "generators.responses", "n": 1}]}
    )
    rows = [{"instruction": f"q{i}"} for i in range(30)]
    with pytest.raises(RequirementError, match="Broken cannot start: no room for the KV cache"):
        run(recipe, rows, {"generator": Broken()}, workspace=tmp_path)


def test_what_an_engine_refuses_is_not_asked_again(tmp_path) -> None:
    class Refusing(Scripted):
        async def generate(self, request: Generate) -> Any:
            self.__dict__["asked"] = self.__dict__.get("asked", 0) + 1
            raise EngineRefused("top_p of 7")

    answers, engine = Answers(tmp_path / "answers.sqlite"), Refusing()
    with pytest.raises(EngineRefused, match="top_p"):
        asyncio.run(Client(engine, answers).ask(GREEDY))
    assert engine.__dict__["asked"] == 1
    answers.close()


def test_a_damaged_store_stops_the_run_and_says_so(tmp_path) -> None:
    path = tmp_path / "answers.sqlite"
    answers = Answers(path)
    asyncio.run(Client(Scripted(), answers).ask(GREEDY))
    answers.close()
    with sqlite3.connect(path) as whole:
        whole.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole.close()
    path.write_bytes(b"no database at all" * 400)
    with pytest.raises(StorageError, match=r"is damaged: .*\.recover"):
        Answers(path)


def test_a_store_that_cannot_keep_an_answer_leaves_no_unread_error(tmp_path, caplog) -> None:
    answers = Answers(tmp_path / "answers.sqlite")

    async def put(*_: Any) -> None:
        raise StorageError("full")

    answers.put = put  # type: ignore[method-assign]

    async def go() -> None:
        client = Client(Scripted(), answers)
        waiting = [asyncio.create_task(client.ask(GREEDY)) for _ in range(3)]
        await asyncio.sleep(0)
        for task in waiting[1:]:
            task.cancel()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(found[0], StorageError)

    asyncio.run(go())
    assert "never retrieved" not in caplog.text
    answers.close()


@given(st.text(st.characters(), max_size=40))
def test_what_is_stored_comes_back_half_surrogate_pairs_and_older_bytes_too(text: str) -> None:
    made = Completion(text, "stop", 3, 4, "model")
    assert Completion.unpack(made.pack()) == made
    assert Completion.unpack(json.dumps(asdict(made)).encode()) == made


def test_half_a_surrogate_pair_is_stored() -> None:
    made = Completion("a\ud800b", "stop", 3, 4)
    assert Completion.unpack(made.pack()) == made
