"""Requests and answers: what may be asked of an engine, and what the store keeps.

A request is rendered: everything that decides its answer is in it or in the engine's identity.
`key(identity)` names the answer in the store, so neither the source code of a stage nor the
order of arrival is ever in a key.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypedDict, get_args

import numpy as np
import orjson
from pydantic import ConfigDict

from gristmill.storage.ids import digest

Op = Literal["generate", "score", "entropy", "diverge", "attend", "rate", "embed", "choice", "run",
             "train", "see", "call", "classify"]  # fmt: skip
Finish = Literal["stop", "length", "content_filter", "tool_calls", "repetition"]
"""How a text ends. Only "stop" is the model's own will."""
UNFINISHED = frozenset(get_args(Finish)) - {"stop", "length"}
"""Ends that leave no usable text, and asking again would not change."""


class Message(TypedDict):
    """One chat turn."""

    role: Literal["system", "user", "assistant"]
    content: str


Prompt = str | list[Message]
"""Text is continued as it is; messages go through the model's chat template."""


class Gen(TypedDict):
    """Which call wrote a text."""

    model: str
    revision: str
    template: str
    finish_reason: str
    prompt_tokens: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to decode. Part of the key of every answer. Greedy when `temperature` is 0."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()
    """Strings that end the text; they are not part of it."""


class Answer:
    """What the store keeps. `tokens` is what the answer cost, `durable` whether it may be kept."""

    __slots__ = ()

    @property
    def tokens(self) -> int:
        """Tokens read and written."""
        return 0

    @property
    def durable(self) -> bool:
        """False for what must be asked again, such as a time-out under contention."""
        return True

    def pack(self) -> bytes:
        """Return the bytes to store."""
        return json.dumps(asdict(self)).encode()  # type: ignore[call-overload]

    @classmethod
    def unpack(cls, packed: bytes) -> Any:
        """Return the answer that was stored."""
        return cls(**json.loads(packed))


@dataclass(frozen=True, slots=True)
class Completion(Answer):
    """A text. Token counts are in tokens of the engine's own tokenizer."""

    text: str
    finish_reason: Finish
    prompt_tokens: int
    completion_tokens: int
    model: str = ""
    revision: str = ""
    template: str = ""
    """Hash of the chat template, or "" for a plain continuation."""

    def pack(self) -> bytes:
        """Return the bytes to store; half of a surrogate pair takes the slower way."""
        with suppress(TypeError):
            return orjson.dumps(self)
        return Answer.pack(self)

    @classmethod
    def unpack(cls, packed: bytes) -> Completion:
        """Return the answer that was stored."""
        with suppress(orjson.JSONDecodeError):
            return cls(**orjson.loads(packed))
        return cls(**json.loads(packed))

    @property
    def tokens(self) -> int:
        """Prompt and completion."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def gen(self) -> Gen:
        """What the row keeps about the call that wrote its text."""
        return {
            "model": self.model,
            "revision": self.revision,
            "template": self.template,
            "finish_reason": self.finish_reason,
            "prompt_tokens": self.prompt_tokens,
            "tokens": self.completion_tokens,
        }


@dataclass(frozen=True, slots=True)
class LogProbs(Answer):
    """Natural-log probabilities of the scored response tokens, in order; may be empty."""

    values: list[float]
    n_context: int
    """Tokens before the response, header included."""
    n_response: int
    """Tokens of the whole response: more than `values` when it was cut."""

    @property
    def tokens(self) -> int:
        """Everything that went through the model."""
        return self.n_context + len(self.values)

    @property
    def mean_nll(self) -> float | None:
        """Mean negative log-likelihood in nats per token; None when nothing was scored."""
        return -float(np.mean(self.values, dtype=np.float64)) if self.values else None

    def pack(self) -> bytes:
        """Eight bytes of header, then float64 in little-endian order: exact, a third of JSON."""
        head = np.array([self.n_context, self.n_response], "<u4").tobytes()
        return head + np.array(self.values, "<f8").tobytes()

    @classmethod
    def unpack(cls, packed: bytes) -> LogProbs:
        """Return the log-probs that were stored."""
        n_context, n_response = np.frombuffer(packed, "<u4", 2).tolist()
        return cls(np.frombuffer(packed, "<f8", offset=8).tolist(), n_context, n_response)


@dataclass(frozen=True, slots=True, eq=False)
class Vector(Answer):
    """An embedding of unit length."""

    values: np.ndarray[Any, np.dtype[np.float32]]
    """(d,) float32."""
    n_tokens: int
    cut: bool
    """Whether text beyond the embedder's window was left out."""

    @property
    def tokens(self) -> int:
        """Tokens read."""
        return self.n_tokens

    def pack(self) -> bytes:
        """Eight bytes of header, then float32 in little-endian order."""
        head = np.array([self.n_tokens, self.cut], "<u4").tobytes()
        return head + self.values.astype("<f4").tobytes()

    @classmethod
    def unpack(cls, packed: bytes) -> Vector:
        """Return the vector that was stored."""
        head = np.frombuffer(packed, "<u4", 2)
        return cls(np.frombuffer(packed, "<f4", offset=8), int(head[0]), bool(head[1]))


@dataclass(frozen=True, slots=True)
class Probs(Answer):
    """The labels' shares of the probability that falls on any of them; they sum to 1."""

    values: dict[str, float]
    mass: float
    """Probability (0..1) that fell on the labels at all; below 0.99 a label may be missing."""
    n_tokens: int

    @property
    def tokens(self) -> int:
        """Tokens read, and the one written."""
        return self.n_tokens + 1

    @property
    def is_complete(self) -> bool:
        """Whether no label may be missing: one that an engine does not list has 0, but for 1 %."""
        return self.mass > 0.99 or all(self.values.values())


class Request(Protocol):
    """Anything that can be asked: its kind, the class of its answer, and its name."""

    @property
    def op(self) -> Op:
        """The method of the engine that answers it."""
        ...

    @property
    def answer(self) -> type[Answer]:
        """The class of its answer."""
        ...

    def key(self, identity: str) -> str:
        """Return the name of the answer, given the identity of the engine."""
        ...


@dataclass(frozen=True, slots=True)
class Generate:
    """Write a text. `draw` tells equal sampled calls apart; greedy calls have none, are shared.

    A `schema` is the text of `schemas.written`; an engine holds the answer to it where it can.
    """

    op: ClassVar[Op] = "generate"
    answer: ClassVar[type[Answer]] = Completion

    prompt: Prompt
    sampling: Sampling
    draw: int | None = None
    schema: str = ""
    stage: str = field(default="", compare=False)
    """The label of the stage that asks, no part of the key: its answers are about as long."""

    def key(self, identity: str) -> str:
        """Return the name of the answer."""
        how = self.sampling
        named = [how.temperature, how.top_p, how.max_tokens, how.stop]
        shape = [self.schema] if self.schema else []
        return digest(identity, "generate", self.prompt, named, self.draw, *shape)


@dataclass(frozen=True, slots=True)
class Score:
    """Log-probabilities of a given response after a context; an empty context is the header alone.

    A response that does not fit is cut; the answer says how long it was.
    """

    op: ClassVar[Op] = "score"
    answer: ClassVar[type[Answer]] = LogProbs

    context: Prompt
    response: str

    def key(self, identity: str) -> str:
        """Return the name of the answer."""
        return digest(identity, self.op, self.context, self.response)


@dataclass(frozen=True, slots=True)
class Embed:
    """One vector for a text."""

    op: ClassVar[Op] = "embed"
    answer: ClassVar[type[Answer]] = Vector

    text: str

    def key(self, identity: str) -> str:
        """Return the name of the answer."""
        return digest(identity, "embed", self.text)


@dataclass(frozen=True, slots=True)
class Choice:
    """Probabilities of a closed set of labels as the next token (a one-token judge)."""

    op: ClassVar[Op] = "choice"
    answer: ClassVar[type[Answer]] = Probs

    prompt: Prompt
    labels: tuple[str, ...]

    def key(self, identity: str) -> str:
        """Return the name of the answer."""
        return digest(identity, "choice", self.prompt, self.labels)
