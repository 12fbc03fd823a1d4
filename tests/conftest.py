"""Factories shared by every test: an engine, a recipe, seeds, a context, worker processes."""

import asyncio
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import Field

from gristmill.engines.base import Engine
from gristmill.engines.client import Client
from gristmill.engines.requests import Completion, Generate, Op
from gristmill.engines.scripted import last
from gristmill.pipelines import Context, Recipe
from gristmill.storage.answers import Answers


class Echo(Engine):
    """Answers by a function of the request; remembers every call."""

    ops: ClassVar[frozenset[Op]] = frozenset({"generate"})
    max_delay_s: float = 0.0
    calls: list[Any] = Field(default_factory=list)
    started: list[bool] = Field(default_factory=list)
    answer: Callable[[str, int], str] | None = None

    @property
    def identity(self) -> str:
        return "echo"

    async def start(self) -> None:
        self.started.append(True)

    async def generate(self, request: Generate) -> Completion:
        if self.max_delay_s:
            await asyncio.sleep(random.uniform(0, self.max_delay_s))
        self.calls.append(request)
        text = (self.answer or reply)(last(request.prompt), request.draw or 0)
        return Completion(text, "stop", 10, len(text.split()), "echo")


def reply(prompt: str, draw: int) -> str:
    """Harder instructions, and answers that differ from draw to draw; some are bad."""
    if found := re.search(r"(?s)Rewrite.*\n\n(.*)$", prompt):
        return "" if draw % 11 == 0 else f"{found[1]} Say why, {draw % 97} times."
    return " " if draw % 5 == 0 else f"Because.\n{draw % 3}"


RECIPE = Path(__file__).parent / "evol_votes.yaml"


@pytest.fixture
def engine() -> Callable[..., Echo]:
    def make(**changes: Any) -> Echo:
        return Echo(**changes)

    return make


@pytest.fixture
def recipe() -> Callable[..., Recipe]:
    return lambda *sets: Recipe.load(RECIPE, ["engines={}", *sets])


@pytest.fixture
def seeds() -> Callable[..., list[dict[str, Any]]]:
    def make(n: int = 12) -> list[dict[str, Any]]:
        return [{"instruction": f"Explain topic {i}.", "difficulty": i / 7} for i in range(n)]

    return make


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., Any]:
    """Call one awaiting stage on one row."""

    def call(stage: Any, row: dict[str, Any], answer: Any, seed: int = 0) -> Any:
        answers = Answers(tmp_path / f"answers-{random.random()}")
        client = Client(Echo(answer=answer), answers)

        async def go() -> Any:
            return await stage(row, Context({"generator": client}, seed, "label", "id"))

        try:
            return asyncio.run(go())
        finally:
            answers.close()

    return call
