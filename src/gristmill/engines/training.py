"""The request for a small supervised fine-tuning, and its answer: a model and losses."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from gristmill.engines.models import fingerprint
from gristmill.engines.passes import BothSides
from gristmill.engines.requests import Answer, Op, Prompt
from gristmill.errors import StageError
from gristmill.storage.ids import digest
from gristmill.storage.rows import Row, look
from gristmill.text.plurals import counted
from gristmill.text.turns import TEXTS, Turn, turns

LOSSES = pa.schema([("id", pa.string()), ("checkpoint", pa.int64()), ("nll", pa.float64())])
"""One line per pair and checkpoint, 0 is before any training; nats per response token of what
fits the window, as the log-prob engine has it; null where nothing could be scored."""


class Trains(BothSides):
    """For a stage that trains a model on what rows say."""

    def optional(self) -> frozenset[str]:
        """A row may come in several shapes."""
        return TEXTS

    def needs(self) -> dict[str, Op]:
        """One role; its parameters are the recipe's."""
        return {"trainer": "train"}


@dataclass(frozen=True, slots=True)
class Pair:
    """A response and what it answers. Messages go through the chat template."""

    id: str
    context: Prompt
    response: str
    weight: float = 1.0
    """How much each of its tokens counts in the training loss; 0 is scored and never trained."""


@dataclass(frozen=True, slots=True)
class Ranked(Pair):
    """A pair whose model also learns to rank answers, as `geometry.ranking_loss` says."""

    candidates: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    """Of the candidates, higher is better."""


@dataclass(frozen=True, slots=True, eq=False)
class Trained(Answer):
    """What a training gave."""

    model: str
    """A folder that any engine takes as its `model`."""
    losses: pa.Table
    n_tokens: int
    """Tokens trained on, every epoch counted."""
    n_cut: int
    """Pairs whose response did not fit the window: its end was neither trained nor scored."""
    n_skipped: int
    """Pairs with nothing to train or score: no response, or a context that fills the window."""

    @property
    def tokens(self) -> int:
        """Tokens trained on."""
        return self.n_tokens

    def pack(self) -> bytes:
        """A line of JSON, then the losses as an Arrow stream; the folder by its name alone."""
        head = [Path(self.model).name, self.n_tokens, self.n_cut, self.n_skipped]
        sink = pa.BufferOutputStream()
        how = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_stream(sink, self.losses.schema, options=how) as stream:
            stream.write_table(self.losses)
        table: bytes = sink.getvalue().to_pybytes()
        return json.dumps(head).encode() + b"\n" + table

    @classmethod
    def unpack(cls, packed: bytes) -> Trained:
        """Return what was stored; the trainer knows where its folders are."""
        head, _, table = packed.partition(b"\n")
        model, *counts = json.loads(head)
        return cls(model, pa.ipc.open_stream(table).read_all(), *counts)


@dataclass(frozen=True)
class Train:
    """Train on pairs and score them at every checkpoint, with others that are only scored.

    Neither the order of the pairs nor the name of a folder is in its key.
    """

    op: ClassVar[Op] = "train"
    answer: ClassVar[type[Answer]] = Trained

    rows: tuple[Pair, ...]
    held_out: tuple[Pair, ...] = ()
    seed: int = 0
    model: str = ""
    """The model to begin with; "" is the trainer's own."""
    revision: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no training could make sense of, and put the pairs in canonical order."""
        ids = [pair.id for pair in (*self.rows, *self.held_out)]
        if len(set(ids)) < len(ids):
            twice = Counter(ids).most_common(1)[0][0]
            raise StageError(f"a training got the id '{twice}' twice; losses are told apart by id")
        weights = [pair.weight for pair in self.rows]
        if bad := [w for w in weights if not (math.isfinite(w) and w >= 0)]:
            raise StageError(f"a training got the weight {bad[0]}; weights are finite and not < 0")
        if not any(weights):
            raise StageError(
                f"a training got {counted(len(weights))}, none with a weight above 0; give it "
                "rows, or do not train"
            )
        for name in ("rows", "held_out"):
            pairs = tuple(sorted(getattr(self, name), key=lambda pair: pair.id))
            object.__setattr__(self, name, pairs)

    @cached_property
    def data(self) -> str:
        """Name the pairs: hashed once, because there may be many."""
        return digest(self.rows, self.held_out)

    def key(self, identity: str) -> str:
        """Return the name of the answer."""
        start = fingerprint(self.model, self.revision) if self.model else ""
        return digest(identity, "train", self.data, self.seed, start)


def pair(id_: str, said: Sequence[Turn], weight: float = 1.0) -> Pair | None:
    """Return the last answer of a conversation, given all before it; None where there is none."""
    ends = [i for i, turn in enumerate(said) if i and turn["role"] == "assistant"]
    if not ends or not said[ends[-1]]["content"].strip():
        return None
    context: Any = [dict(turn) for turn in said[: ends[-1]]]
    return Pair(id_, context, said[ends[-1]]["content"], weight)


def lesson(row: Row, ranked: str | None = None) -> Pair | None:
    """Return what a row teaches: its last answer, and how to rank the candidates in `ranked`."""
    found = pair(row["id"], turns(row))
    if not (found and ranked and (candidates := look(row, f"{ranked}.candidates"))):
        return found
    scores = look(row, f"{ranked}.scores")
    said = found.id, found.context, found.response, found.weight
    return Ranked(*said, tuple(candidates), tuple(scores))


def mean_losses(
    losses: pa.Table, of: Mapping[str, int], n: int, *, first: bool = False
) -> list[float]:
    """Return the mean loss of n groups of pairs at the last checkpoint, or before any training.

    `of` names the group, 0..n-1, of the ids that count; a group without a loss has infinity.
    """
    lines = [x for x in losses.to_pylist() if x["id"] in of and x["nll"] is not None]
    at = 0 if first else max((x["checkpoint"] for x in lines), default=0)
    found: list[list[float]] = [[] for _ in range(n)]
    for line in lines:
        if line["checkpoint"] == at:
            found[of[line["id"]]].append(line["nll"])
    return [sum(values) / len(values) if values else math.inf for values in found]
