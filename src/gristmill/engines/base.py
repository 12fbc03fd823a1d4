"""The engine contract."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict

from gristmill.engines.attending import Attend, Attended
from gristmill.engines.calling import Called, CallTool
from gristmill.engines.classifying import Classes, Classify
from gristmill.engines.diverging import Diverge, Divergences
from gristmill.engines.entropies import Entropies, Entropy
from gristmill.engines.rating import Rate, Rating
from gristmill.engines.requests import (
    Choice,
    Completion,
    Embed,
    Generate,
    LogProbs,
    Op,
    Probs,
    Request,
    Score,
    Vector,
)
from gristmill.engines.seeing import See
from gristmill.errors import EngineError


class Engine(BaseModel, ABC):
    """Something that costs: a model or a sandbox. Frozen parameters until `start`.

    `identity` is known without starting anything. It names the weights, the template and the
    precision: everything that changes the answers and is not in the request. An engine answers
    the kinds of request in `ops`, each with the method of that name: one awaited call per
    request, thousands at a time. What gains from batches collects them itself.
    A machine's failure raises `EngineError` (asked again, then the row fails); a request that
    cannot fit raises `PromptTooLong` (the row is rejected), one that the model's template cannot
    write `PromptRefused` (rejected, too). An error belongs to one request, never to its batch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ops: ClassVar[frozenset[Op]]
    hosted: ClassVar[bool] = False
    """Whether it fills a processor: on Ray it then gets a process of its own."""
    foreign: ClassVar[bool] = False
    """Whether it starts, or acts through, what a recipe names: only with --allow-plugins."""
    trainable: ClassVar[bool] = False
    """Whether its `model` and `revision` name a causal language model that it runs itself."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """Name what decides the answers."""

    @property
    def kind(self) -> str:
        """What messages and reports call it."""
        return type(self).__name__

    def check(self) -> None:
        """Raise RecipeError when it could never start here: no such model, no isolation."""

    def accept(self, where: str, stage: BaseModel) -> None:
        """Raise RecipeError when a stage that calls it names what it does not have."""

    def in_workspace(self, folder: Path) -> Self:
        """Return the engine that keeps its files, if it writes any, below `.gristmill` there."""
        return self

    def recall(self, answer: Any) -> Any:
        """Return a stored answer as it holds here; None when what it points to is gone."""
        return answer

    def origin(self) -> dict[str, Any]:
        """Say where its model comes from, for the lock and the card; nothing without a model."""
        return {}

    async def foresee(self, request: Request) -> None:
        """Raise before `start` what it would have to say of a request after it."""

    async def start(self) -> None:
        """Load. Called once, at the first request that the store cannot answer."""

    async def stop(self) -> None:
        """Give back what `start` took. Called once, also after a failure."""

    async def rest(self) -> None:
        """Give the memory to another engine; `start` takes it again."""
        await self.stop()

    def withdraw(self) -> None:
        """Let requests that are not begun raise `leases.Withdrawn`: they are asked again later."""

    def acquit(self) -> None:
        """Count no death so far against it: a request was to blame."""

    async def pids(self) -> list[list[int]]:
        """Return the processes that it runs in besides this one, of every actor its own first."""
        return []

    async def generate(self, request: Generate) -> Completion:
        """Write one text; one that cannot hold it to the request's schema lets it be.

        Whoever asked reads the text by the schema in any case: such an engine costs repairs and
        rejected rows, never a wrong one.
        """
        raise EngineError(self._cannot("generate"))

    async def score(self, request: Score) -> LogProbs:
        """Score one response."""
        raise EngineError(self._cannot("score"))

    async def entropy(self, request: Entropy) -> Entropies:
        """Score one response, with the entropy of every prediction."""
        raise EngineError(self._cannot("entropy"))

    async def diverge(self, request: Diverge) -> Divergences:
        """Compare two models on one response."""
        raise EngineError(self._cannot("diverge"))

    async def attend(self, request: Attend) -> Attended:
        """Say where answers look."""
        raise EngineError(self._cannot("attend"))

    async def rate(self, request: Rate) -> Rating:
        """Rate one conversation."""
        raise EngineError(self._cannot("rate"))

    async def classify(self, request: Classify) -> Classes:
        """Classify one text."""
        raise EngineError(self._cannot("classify"))

    async def embed(self, request: Embed) -> Vector:
        """Embed one text."""
        raise EngineError(self._cannot("embed"))

    async def see(self, request: See) -> Completion:
        """Write one text about images."""
        raise EngineError(self._cannot("see"))

    async def choice(self, request: Choice) -> Probs:
        """Judge by one token."""
        raise EngineError(self._cannot("choice"))

    async def call(self, request: CallTool) -> Called:
        """Call a function."""
        raise EngineError(self._cannot("call"))

    def _cannot(self, op: str) -> str:
        return f"{type(self).__name__} cannot {op}; it can {sorted(self.ops)}"
