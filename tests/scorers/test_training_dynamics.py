import asyncio
from math import log
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from pydantic import Field

from gristmill.engines.base import Engine
from gristmill.engines.client import Client
from gristmill.engines.requests import Op
from gristmill.engines.training import LOSSES, Train, Trained
from gristmill.pipelines import Context
from gristmill.scorers.training_dynamics import TrainingDynamics, halves, partner
from gristmill.storage.answers import Answers

PPL = {"0": (3.0, 2.0), "1": (10.0, 8.0), "2": (5.0, 4.0), "3": (2.0, 2.0)}


class Teacher(Engine):
    """Gives the perplexities that it was told; at checkpoint 0 all are 99."""

    ops: ClassVar[frozenset[Op]] = frozenset({"train"})
    ppl: Any
    calls: list[Any] = Field(default_factory=list)

    @property
    def identity(self) -> str:
        return "teacher"

    async def train(self, request: Train) -> Trained:
        self.calls.append(request)
        told = {pair.id: (99.0, *self.ppl[pair.id]) for pair in request.rows}
        lines = [
            {"id": id_, "checkpoint": i, "nll": log(ppl) if ppl else None}
            for id_, values in told.items()
            for i, ppl in reversed(list(enumerate(values)))
        ]
        return Trained("nowhere", pa.Table.from_pylist(lines, schema=LOSSES), 9, 0, 0)


def decide(tmp_path: Path, engine: Teacher, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answers = Answers(tmp_path / "answers.sqlite")
    names = ("id", "instruction", "output")
    table = pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in names})

    async def go() -> pa.Table:
        ctx = Context({"trainer": Client(engine, answers)}, 0, "dynamics", "id")
        return await TrainingDynamics().decide(table, ctx)

    try:
        return asyncio.run(go()).to_pylist()
    finally:
        answers.close()


def row(id_: str, output: str = "yes") -> dict[str, Any]:
    return {"id": id_, "instruction": f"Say {id_}.", "output": output}


def test_the_worked_numbers_of_the_sheet(tmp_path) -> None:
    found = decide(tmp_path, Teacher(ppl=PPL), [row(id_) for id_ in PPL])
    assert [line["confidence"] for line in found] == pytest.approx([-2.5, -9.0, -4.5, -2.0])
    assert [line["half"] for line in found] == [
        "confident",
        "unconfident",
        "unconfident",
        "confident",
    ]
    assert found[1]["ppl"] == pytest.approx([10.0, 8.0])
    assert all(line["keep"] for line in found)
    for line in found:
        other = found[int(line["partner"])]
        assert other["half"] != line["half"]
        assert other["partner"] == line["id"]


def test_one_exploding_checkpoint_does_not_decide(tmp_path) -> None:
    (found,) = decide(tmp_path, Teacher(ppl={"0": (1e300, 2.0)}), [row("0")])
    assert found["confidence"] == pytest.approx(-5001.0)


def test_what_could_not_be_trained_on_is_null_and_stays(tmp_path) -> None:
    engine = Teacher(ppl={"0": (3.0,), "1": (0.0,)})
    found = decide(tmp_path, engine, [row("0"), row("1"), row("2", " ")])
    assert [line["confidence"] for line in found] == [pytest.approx(-3.0), None, None]
    assert [line["half"] for line in found] == ["unconfident", None, None]
    assert all(line["keep"] for line in found)
    assert [pair.id for pair in engine.calls[0].rows] == ["0", "1"]


def test_nothing_to_train_on_is_not_trained(tmp_path) -> None:
    (found,) = decide(tmp_path, Teacher(ppl={}), [row("0", "")])
    assert found["confidence"] is None
    assert decide(tmp_path / "empty", Teacher(ppl={}), []) == []


def test_the_middle_row_is_not_confident_and_a_constant_changes_nothing() -> None:
    confidence = {"a": -1.0, "b": -3.0, "c": -2.0}
    assert halves(confidence) == (["a"], ["c", "b"])
    assert halves({id_: value - 50 for id_, value in confidence.items()}) == (["a"], ["c", "b"])
    assert halves({"b": -1.0, "a": -1.0}) == (["a"], ["b"])


def test_partners_are_of_like_length_and_differ_from_seed_to_seed() -> None:
    first, second = [f"a{i:03}" for i in range(64)], [f"b{i:03}" for i in range(65)]
    sizes = {id_: int(id_[1:]) for id_ in (*first, *second)}
    found = partner(first, second, sizes, Random(1))
    assert len(found) == 128
    assert max(abs(sizes[a] - sizes[b]) for a, b in found.items()) < 16
    assert found == partner(first[::-1], second, sizes, Random(1))
    assert found != partner(first, second, sizes, Random(2))
