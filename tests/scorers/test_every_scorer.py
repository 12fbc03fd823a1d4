"""What every scorer promises, for all that exist: found by walking the folder, no list to keep.

A scorer is built with its defaults and answered by rule: log-probs are minus the index of the
token, so that it shows which tokens count. Columns that are not those of every row are numbers.
"""

import asyncio
import importlib
import math
import pkgutil
from copy import deepcopy
from typing import Any, ClassVar, get_args

import numpy as np
import pyarrow as pa
import pytest

from gristmill import scorers
from gristmill.engines.attending import Attend, Attended
from gristmill.engines.base import Engine
from gristmill.engines.client import Client
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
    Score,
    Vector,
)
from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.engines.training import LOSSES, Train, Trained
from gristmill.errors import PromptRefused, PromptTooLong
from gristmill.pipelines import Context, RowStage, TableStage
from gristmill.pipelines.stage import Stage
from gristmill.storage.answers import Answers
from gristmill.storage.rows import CONTENT

ALL = [m.name for m in pkgutil.iter_modules(scorers.__path__)]
GIVEN: dict[str, dict[str, Any]] = {
    "answer_match": {"reference": "instruction"},
    "definitions": {"code": "output"},
    "diagnosis": {"by": "scores.labels"},
    "iter_rtl": {"candidates": "scores.labels", "ranks": "scores.vector"},
    "feature_tree": {"features": "scores.json"},
}
"""Columns that are no numbers by the names that they have."""


def scorer(name: str) -> Any:
    module = importlib.import_module(f"gristmill.scorers.{name}")
    found = (c for c in vars(module).values() if isinstance(c, type))
    cls = next(c for c in found if issubclass(c, Stage) and c.__module__ == module.__name__)
    return cls(**GIVEN.get(name, {}))


ROWS = [name for name in ALL if isinstance(scorer(name), RowStage)]
TABLES = [name for name in ALL if isinstance(scorer(name), TableStage)]


class Ruled(Engine):
    """Answers by rule: a word is a token."""

    ops: ClassVar[frozenset[Op]] = frozenset(get_args(Op))

    @property
    def identity(self) -> str:
        return "ruled"

    async def score(self, request: Score) -> LogProbs:
        n = len(request.response.split())
        return LogProbs([-float(i + 1) for i in range(n)], 1, n)

    async def entropy(self, request: Entropy) -> Entropies:
        n = len(request.response.split())
        return Entropies([-float(i + 1) for i in range(n)], [0.5] * n, 8, 1, n)

    async def diverge(self, request: Diverge) -> Divergences:
        n = len(request.response.split())
        return Divergences([0.1 * (i + 1) for i in range(n)], 1, n)

    async def attend(self, request: Attend) -> Attended:
        n = sum(message["role"] == "assistant" for message in request.messages)
        return Attended([0.5] * n, 1, cut=False)

    async def rate(self, request: Rate) -> Rating:
        return Rating(0.5, 1)

    async def embed(self, request: Embed) -> Vector:
        return Vector(np.array([0.6, 0.8], np.float32), 1, cut=False)

    async def generate(self, request: Generate) -> Completion:
        return Completion("probability", "stop", 1, 1, "ruled")

    async def choice(self, request: Choice) -> Probs:
        return Probs({label: 1 / len(request.labels) for label in request.labels}, 1.0, 1)

    async def run(self, request: Program) -> Verdict:
        return Verdict("pass")

    async def train(self, request: Train) -> Trained:
        lines = [
            {"id": pair.id, "checkpoint": i, "nll": len(pair.response) / (i + 1)}
            for pair in (*request.rows, *request.held_out)
            for i in range(3)
        ]
        return Trained("nowhere", pa.Table.from_pylist(lines, schema=LOSSES), 1, 0, 0)


def said(*turns: tuple[str, str | None]) -> list[dict[str, Any]]:
    return [{"role": role, "content": content, "extra": None} for role, content in turns]


ODD: list[dict[str, Any]] = [
    {"instruction": "Name some primes, please do.", "output": "Two, three, five."},
    {"instruction": "Name some primes, please do.", "input": "<noinput>", "output": "Two."},
    {"instruction": "", "input": "only this", "output": "Yes."},
    {"instruction": None, "input": None, "output": "Yes."},
    {"instruction": "Say nothing.", "output": ""},
    {"instruction": "Say nothing.", "output": None, "flags": ["seen"]},
    {"instruction": " ", "output": " \n\t"},
    {"instruction": "\u202eodd\x00", "output": "\ud7ff \U0001f600 " * 300},
    {"messages": said(("user", "One?"), ("assistant", "First."), ("user", "Two?"))},
    {"messages": said(("assistant", "Nobody asked."))},
    {"messages": said(("system", "Be brief."), ("user", "Hi."), ("assistant", None))},
    {"messages": []},
]


def rows_of(stage: Any) -> list[dict[str, Any]]:
    """Give every row what a scorer reads; numbers are there for some and null for others."""
    kinds = {"id", *CONTENT}
    made = []
    for i, row in enumerate(ODD):
        rest: dict[str, Any] = dict.fromkeys(stage.reads() - kinds, None if i % 3 else i + 1)
        vectors = (name for name in rest if name.endswith(".vector"))
        rest |= dict.fromkeys(vectors, None if i % 4 == 3 else [1.0, float(i)])
        labels = (name for name in rest if name.endswith(".labels"))
        rest |= dict.fromkeys(labels, None if i % 4 == 3 else ["all", str(i % 2)])
        texts = (name for name in rest if name.endswith(".json"))
        rest |= dict.fromkeys(texts, None if i % 4 == 3 else '{"all": {"one": {}}}')
        made.append({**dict.fromkeys(stage.reads() & kinds), **rest, **row, "id": f"row{i:02}"})
    return made


def seen(stage: Any, row: dict[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in stage.reads()}


@pytest.fixture
def client(tmp_path):
    answers = Answers(tmp_path / "answers.sqlite")
    yield Client(Ruled(), answers)
    answers.close()


def call(stage: Any, row: dict[str, Any], client: Client) -> dict[str, Any]:
    view = seen(stage, row)
    kept = deepcopy(view)
    if stage.awaits():
        ctx = Context(dict.fromkeys(stage.needs(), client), 0, "label", row["id"])
        found: dict[str, Any] = asyncio.run(_awaited(stage(view, ctx)))
    else:
        found = stage(view)
    assert view == kept, "a scorer changes no row"
    return found


async def _awaited(made: Any) -> Any:
    return await made


def number_or_text(name: str) -> pa.DataType:
    if name.endswith(".vector"):
        return pa.list_(pa.float32())
    if name.endswith(".labels"):
        return pa.list_(pa.string())
    return pa.float64() if "." in name and not name.endswith(".json") else pa.string()


def decide(stage: Any, rows: list[dict[str, Any]], client: Client) -> dict[str, dict[str, Any]]:
    names = sorted(stage.reads() - {"id"})
    kinds = [CONTENT.get(name, number_or_text(name)) for name in names]
    table = pa.table(
        {"id": pa.array([row["id"] for row in rows], pa.string())}
        | {n: pa.array([row.get(n) for row in rows], k) for n, k in zip(names, kinds, strict=True)}
    )
    if stage.awaits():
        ctx = Context(dict.fromkeys(stage.needs(), client), 0, "label", "id")
        decided = asyncio.run(_awaited(stage.decide(table, ctx)))
    else:
        decided = stage.decide(table)
    return {line["id"]: line for line in decided.to_pylist()}


def floats(value: Any) -> list[float]:
    if isinstance(value, float):
        return [value]
    inner = value.values() if isinstance(value, dict) else value
    return [x for v in inner for x in floats(v)] if isinstance(value, dict | list) else []


@pytest.mark.parametrize("name", ROWS)
def test_a_row_gets_declared_columns_without_nan_whatever_it_says(name, client) -> None:
    stage = scorer(name)
    kinds = stage.writes()
    for row in rows_of(stage):
        found = call(stage, row, client)
        assert found.keys() <= kinds.keys()
        for column, value in found.items():
            pa.array([value], kinds[column])
        assert all(map(math.isfinite, floats(found)))
        assert set(row.get("flags") or []) <= set(found.get("flags") or row.get("flags") or [])


@pytest.mark.parametrize("name", ROWS)
def test_a_second_time_overwrites_the_same_and_adds_nothing(name, client) -> None:
    stage = scorer(name)
    for row in rows_of(stage):
        first = call(stage, row, client)
        assert str(call(stage, row, client)) == str(first)
        assert str(call(stage, {**row, **first}, client)) == str(first)


SPANS = [
    name
    for name in ROWS
    if {"score", "entropy"} & set(scorer(name).needs().values())
    and "output" in scorer(name).reads()
]


@pytest.mark.parametrize("name", SPANS)
def test_all_tokens_of_the_response_count_and_no_others(name, client) -> None:
    row = {"instruction": "Seven words of a question, no less.", "output": "one two three four"}
    found = call(scorer(name), {"id": "row", **row}, client)
    assert found["n_scored"] == 4
    nll = found.get("nll", found.get("nll_cond"))
    assert nll == pytest.approx(2.5)  # (1 + 2 + 3 + 4) / 4


@pytest.mark.parametrize("name", SPANS)
def test_a_row_that_could_not_be_scored_has_null_and_a_flag(name, client) -> None:
    for row in rows_of(scorer(name)):
        found = call(scorer(name), row, client)
        scores = [found[column] for column in ("score", "ppl", "nll") if column in found]
        if found["n_scored"]:
            assert None not in scores or found["flags"]
        else:
            assert not any(score is not None for score in scores)
            assert found["flags"]


class Unable(Ruled):
    """Cannot read a prompt, for one of two reasons."""

    too_long: bool

    async def fail(self, request: Any) -> Any:
        raise PromptTooLong("9 > 8") if self.too_long else PromptRefused("no such role")

    score = entropy = diverge = rate = choice = generate = fail


OPS = {"score", "entropy", "diverge", "rate", "choice", "generate"}
READERS = [name for name in ROWS if set() < {*scorer(name).needs().values()} <= OPS]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("too_long", [True, False])
def test_a_row_that_the_model_cannot_read_stays_without_a_score(name, too_long, tmp_path) -> None:
    answers = Answers(tmp_path / "answers.sqlite")
    stage = scorer(name)
    found = call(stage, rows_of(stage)[0], Client(Unable(too_long=too_long), answers))
    answers.close()
    assert found.get("flags") or "flags" not in stage.writes()
    assert not floats(found)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_keeps_its_rows_whatever_their_order(name, client) -> None:
    stage = scorer(name)
    rows = rows_of(stage)
    found = decide(stage, rows, client)
    assert list(found) == [row["id"] for row in rows]
    assert all(line["keep"] for line in found.values())
    assert all(map(math.isfinite, floats(found)))
    shuffled = decide(stage, rows[::-1], client)
    for id_, line in found.items():
        assert str(shuffled[id_]) == str(line)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_may_be_empty_or_a_single_row(name, client) -> None:
    stage = scorer(name)
    if stage.scope == "table":  # siblings are at least one
        assert decide(stage, [], client) == {}
    assert len(decide(stage, rows_of(stage)[:1], client)) == 1
