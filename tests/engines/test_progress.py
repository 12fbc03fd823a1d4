"""The bill of a command: also what its engines count."""

import asyncio
import json
from pathlib import Path
from typing import ClassVar

import pytest

from gristmill.engines import progress
from gristmill.engines.base import Engine
from gristmill.engines.client import Client
from gristmill.engines.progress import Meter
from gristmill.engines.requests import Op
from gristmill.storage.answers import Answers


class Counting(Engine):
    """Tells its counters, or hangs."""

    ops: ClassVar[frozenset[Op]] = frozenset({"generate"})
    hangs: bool = False

    @property
    def identity(self) -> str:
        return "counting"

    async def metrics(self) -> dict[str, float]:
        if self.hangs:
            await asyncio.Event().wait()
        return {"vllm:prompt_tokens": 7.0}


def bill_of(tmp_path: Path, **engines: Engine) -> dict[str, object]:
    async def go() -> None:
        answers = Answers(tmp_path / "store")
        clients = {role: Client(engine, answers) for role, engine in engines.items()}
        for client in clients.values():
            client.made = 1  # a command that made nothing leaves no bill
        async with Meter(clients, int, None, tmp_path / "costs").running():
            pass
        answers.close()

    asyncio.run(go())
    (file,) = (tmp_path / "costs").glob("*.json")
    told: dict[str, object] = json.loads(file.read_text())["engines"]
    return told


def test_a_shared_engine_is_counted_once(tmp_path: Path) -> None:
    one = Counting()
    assert bill_of(tmp_path, judge=one, generator=one) == {"generator": {"vllm:prompt_tokens": 7.0}}


def test_nobody_waits_for_an_engine_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "TELL_S", 0.01)
    told = bill_of(tmp_path, judge=Counting(hangs=True), generator=Counting())
    assert told == {"generator": {"vllm:prompt_tokens": 7.0}}
