"""Factories shared by every test: engines, a recipe, seeds, one call of a stage.

Two engines, because tests ask two different things. `engine` answers by a rule, for properties
over many rows: it must answer whatever order and number of calls a run comes to. `script` is
literal replies, for the tests of a method: a call that it does not expect fails the test, and so
does a reply that nobody asked for.
"""

import asyncio
import random
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from pydantic import Field

from gristmill.engines.attending import Attend
from gristmill.engines.base import Engine
from gristmill.engines.client import Client
from gristmill.engines.diverging import Diverge
from gristmill.engines.entropies import Entropy
from gristmill.engines.rating import Rate
from gristmill.engines.requests import (
    Answer,
    Choice,
    Completion,
    Embed,
    Generate,
    LogProbs,
    Op,
    Probs,
    Score,
    Vector,
)
from gristmill.engines.sandbox.program import Program
from gristmill.engines.scripted import last
from gristmill.pipelines import Context, Recipe
from gristmill.storage.answers import Answers

# A busy machine is no failure: the time a single example takes says nothing here.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


RAY = {
    "tests/engines/sandbox/test_cluster.py",
    "tests/engines/test_demo_rows.py",
    "tests/engines/test_remote.py",
    "tests/engines/test_vllm.py",
    "tests/pipelines/test_chaos.py",
    "tests/pipelines/test_ray.py",
    "tests/pipelines/test_rounds_that_train.py",
}
"""Files whose tests share one Ray, and one vLLM in it."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let one process run what shares fixtures: a file on one back end, or all that use Ray.

    The group marks of pytest-xdist 3.8 do nothing under pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            backend = re.search(r"\b(zygote|bubblewrap)\b", test)
            return "ray" if file in RAY else f"{file} {backend[1]}" if backend else file

    return Together(config, log)


class Echo(Engine):
    """Answers by a function of the request; remembers every call."""

    ops: ClassVar[frozenset[Op]] = frozenset({"generate", "embed"})
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

    async def embed(self, request: Embed) -> Vector:
        self.calls.append(request)
        counts = np.array([request.text.count(letter) for letter in "aeionrst"], np.float32) + 1
        return Vector(counts / np.linalg.norm(counts), len(request.text.split()), cut=False)


def reply(prompt: str, draw: int) -> str:
    """Harder instructions, and answers that differ from draw to draw; some are bad."""
    if found := re.search(r"(?s).*### Base instruction\n(.*)\n\n### \w+ instruction$", prompt):
        return "" if draw % 11 == 0 else f"{found[1]} Say why, {draw % 97} times."
    if prompt.endswith("### Same or different"):
        return "different"
    return " " if draw % 5 == 0 else f"Because.\n{draw % 3}"


class Script(Engine):
    """Literal replies: a table from a part of the request to what it gets, served in order.

    A request is matched by its text: the last message of a prompt, context and response of a
    score, the text of an embedding, code and tests of a program. A key is a substring, or a
    tuple of substrings that must all be there; the first key that matches serves. A reply is an
    answer, an error to raise, or short for an answer: a text, a list of numbers (log-probs, a
    vector), a dict of label probabilities.
    """

    ops: ClassVar[frozenset[Op]] = frozenset(get_args(Op))

    table: dict[str | tuple[str, ...], list[Any]]
    calls: list[Any] = Field(default_factory=list)
    strays: list[str] = Field(default_factory=list)
    """Texts of the calls that nothing in the table expects."""

    @property
    def identity(self) -> str:
        return "script"

    async def serve(self, request: Any) -> Any:
        """Return the next reply of the first key that matches."""
        self.calls.append(request)
        text = text_of(request)
        for key, replies in self.table.items():
            if all(part in text for part in ([key] if isinstance(key, str) else key)):
                if replies:
                    return _answer(request, replies.pop(0))
                break
        self.strays.append(text)
        raise AssertionError(f"the script has no reply left for: {text}")

    generate = score = entropy = diverge = attend = rate = embed = choice = run = see = serve
    classify = serve

    def finish(self) -> None:
        """Fail when a call was not in the table or a reply was never asked for."""
        assert not self.strays, f"calls without a reply: {self.strays}"
        unused = {key: replies for key, replies in self.table.items() if replies}
        assert not unused, f"replies never asked for: {unused}"


def text_of(request: Any) -> str:
    match request:
        case Generate() | Choice():
            return last(request.prompt)
        case Score() | Entropy() | Diverge():
            return f"{last(request.context) if request.context else ''}\n{request.response}"
        case Attend() | Rate():
            return "\n".join(message["content"] for message in request.messages)
        case Program():
            return f"{request.code}\n{request.tests}"
    return request.text


def _answer(request: Any, reply: Any) -> Answer:
    n_tokens = len(text_of(request).split())
    match request, reply:
        case _, Exception():
            raise reply
        case _, Answer():
            return reply
        case Generate(), str():
            return Completion(reply, "stop", n_tokens, len(reply.split()), "script")
        case Score(), list():
            return LogProbs(reply, n_tokens, len(reply))
        case Embed(), list():
            return Vector(np.array(reply, np.float32), n_tokens, cut=False)
        case Choice(), dict():
            return Probs(reply, 1.0, n_tokens)
    raise AssertionError(f"{reply!r} is no answer to {request}")


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
def script() -> Iterator[Callable[..., Script]]:
    """Make strict engines; after the test each must be used up."""
    made: list[Script] = []

    def make(table: dict[Any, Sequence[Any]]) -> Script:
        made.append(Script(table={key: list(replies) for key, replies in table.items()}))
        return made[-1]

    yield make
    for engine in made:
        engine.finish()


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., Any]:
    """Call one awaiting stage on one row; its roles share the one engine, or a dict names them."""

    def call(stage: Any, row: dict[str, Any], engine: Any, seed: int = 0) -> Any:
        answers = Answers(tmp_path / f"answers-{random.random()}")
        named = engine if isinstance(engine, dict) else dict.fromkeys(stage.needs(), engine)
        engines = {r: e if isinstance(e, Engine) else Echo(answer=e) for r, e in named.items()}
        clients = {id(e): Client(e, answers) for e in engines.values()}
        roles = {role: clients[id(e)] for role, e in engines.items()}

        async def go() -> Any:
            return await stage(row, Context(roles, seed, "label", "id"))

        try:
            return asyncio.run(go())
        finally:
            answers.close()

    return call


@pytest.fixture(scope="session", autouse=True)
def _no_ray_left() -> Iterator[None]:
    """End Ray with the session, if any test started it."""
    yield
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()
