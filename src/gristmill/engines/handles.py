"""What a stage may ask of the engine behind a role; whoever asks counts and names the calls."""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from gristmill.engines.attending import Attend, Attended
from gristmill.engines.calling import Called, CallTool
from gristmill.engines.classifying import Classes, Classify
from gristmill.engines.client import Asks
from gristmill.engines.diverging import Diverge, Divergences
from gristmill.engines.entropies import Entropies, Entropy
from gristmill.engines.rating import Rate, Rating
from gristmill.engines.requests import (
    Answer,
    Choice,
    Completion,
    Embed,
    Generate,
    LogProbs,
    Message,
    Probs,
    Prompt,
    Request,
    Sampling,
    Score,
    Vector,
)
from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.engines.schemas import Schema, written
from gristmill.engines.seeing import See
from gristmill.engines.training import Pair, Train, Trained


class Caller(Protocol):
    """Who asks: a row in one stage, as far as its calls go."""

    seed: int
    label: str

    def call(self, asks: Asks, request: Request) -> Awaitable[Any]:
        """Ask."""
        ...

    def draw(self, request: Generate) -> int:
        """Return what tells a sampled request from its equals."""
        ...

    def after(self) -> Caller:
        """Return who asks for what follows from the answer to the last call."""
        ...


@dataclass(slots=True, eq=False)
class Asked:
    """A call that begins when awaited: given up before, it leaves no coroutine behind."""

    asks: Asks
    request: Request
    made: list[tuple[str, int]]
    slot: int

    def __await__(self) -> Generator[Any, None, Answer]:
        """Ask, and write down the key in the call's place."""
        key, answer = yield from self.asks.ask(self.request).__await__()
        self.made[self.slot] = (key, answer.tokens)
        return answer  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Llm:
    """A model as one row sees it. Calls are numbered when made, not when awaited."""

    ctx: Caller
    asks: Asks
    images: tuple[str, ...] = ()
    """Data URLs of what it looks at."""

    def viewing(self, *images: str) -> Llm:
        """Return the model as it looks at images, data URLs, whatever it is asked to write."""
        return replace(self, images=images)

    def generate(
        self, prompt: Prompt, sampling: Sampling, schema: Schema | None = None
    ) -> Awaitable[Completion]:
        """Write a text: `gather` over n equal calls is n draws.

        With a schema the engine holds the text to it where it can. `replies.fill` also reads it.
        """
        request = Generate(prompt, sampling, schema=written(schema), stage=self.ctx.label)
        if self.images:
            request = See(prompt, sampling, schema=request.schema, images=self.images)
        if sampling.temperature > 0:
            request = replace(request, draw=self.ctx.draw(request))
        return self.ctx.call(self.asks, request)

    def after(self) -> Llm:
        """Return the model for what follows from the answer to the last call."""
        return replace(self, ctx=self.ctx.after())

    def score(self, context: Prompt, response: str) -> Awaitable[LogProbs]:
        """Return the log-probs of `response` after `context`; `[]` is the response header alone."""
        return self.ctx.call(self.asks, Score(context, response))

    def entropy(self, context: Prompt, response: str) -> Awaitable[Entropies]:
        """Return what `score` does, with the entropy of every prediction."""
        return self.ctx.call(self.asks, Entropy(context, response))

    def diverge(self, context: Prompt, response: str) -> Awaitable[Divergences]:
        """Return how far two models are apart on `response` after `context`."""
        return self.ctx.call(self.asks, Diverge(context, response))

    def attend(self, messages: list[Message]) -> Awaitable[Attended]:
        """Return how much each answer of a conversation looks at the user."""
        return self.ctx.call(self.asks, Attend(messages))

    def rate(self, messages: list[Message]) -> Awaitable[Rating]:
        """Return what a reward model thinks of a conversation that ends with an answer."""
        return self.ctx.call(self.asks, Rate(messages))

    def classify(self, text: str) -> Awaitable[Classes]:
        """Return the probability of each of a classifier's labels for a text."""
        return self.ctx.call(self.asks, Classify(text))

    def embed(self, text: str) -> Awaitable[Vector]:
        """Return the unit-length vector of a text."""
        return self.ctx.call(self.asks, Embed(text))

    def choice(self, prompt: Prompt, labels: tuple[str, ...]) -> Awaitable[Probs]:
        """Return how the next token's probability falls on the labels."""
        return self.ctx.call(self.asks, Choice(prompt, labels))

    def call(self, calls: tuple[tuple[str, str], ...]) -> Awaitable[Called]:
        """Make the last of some calls, each a name and arguments as JSON."""
        return self.ctx.call(self.asks, CallTool(calls))


@dataclass(frozen=True, slots=True)
class Runs:
    """The sandbox as one row sees it."""

    ctx: Caller
    asks: Asks

    def run(self, program: Program) -> Awaitable[Verdict]:
        """Execute a program and return what can be believed about it."""
        return self.ctx.call(self.asks, program)


@dataclass(frozen=True, slots=True)
class Trains:
    """The trainer as one table sees it."""

    ctx: Caller
    asks: Asks

    def train(
        self,
        rows: Sequence[Pair],
        held_out: Sequence[Pair] = (),
        seed: int | None = None,
        model: str = "",
    ) -> Awaitable[Trained]:
        """Train `model` ("" is the trainer's own) and score rows and held-out ones; see `Trained`.

        Without a seed it is the recipe's: equal data is trained on once.
        """
        seed = self.ctx.seed if seed is None else seed
        return self.ctx.call(self.asks, Train(tuple(rows), tuple(held_out), seed, model))
