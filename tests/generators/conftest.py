"""The real sandbox for generators that execute, and an engine that does more than write."""

from collections.abc import Callable, Iterator
from typing import Any
from zlib import crc32

import pytest

from gristmill.engines.rating import Rating
from gristmill.engines.requests import Choice, LogProbs, Probs
from gristmill.engines.sandbox import Sandbox
from gristmill.errors import RequirementError


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Return a sandbox with two slots."""
    with Sandbox(2) as made:
        try:
            made.run_all([])
        except RequirementError as error:
            pytest.skip(f"no isolation here: {error}")
        yield made


@pytest.fixture
def knowing(engine: Callable[..., Any]) -> Callable[..., Any]:
    """Make engines that write by a rule, and score, rate and choose by the text alone."""

    class Knowing(type(engine())):  # type: ignore[misc]
        ops = frozenset({"generate", "embed", "score", "rate", "choice"})

        async def score(self, request: Any) -> LogProbs:
            said = request.response.split()
            first = len(str(request.context)) % 7
            return LogProbs([-1 - (len(word) + first) / 10 for word in said], 5, len(said))

        async def rate(self, request: Any) -> Rating:
            return Rating(len(request.messages[-1]["content"]) / 100, 5)

        async def choice(self, request: Choice) -> Probs:
            best = request.labels[crc32(str(request.prompt).encode()) % len(request.labels)]
            return Probs({label: float(label == best) for label in request.labels}, 1.0, 5)

    return Knowing
