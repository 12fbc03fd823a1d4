import asyncio
import math
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from pydantic import Field

from gristmill.engines.base import Engine
from gristmill.engines.client import Client
from gristmill.engines.requests import Op
from gristmill.engines.training import LOSSES, Train, Trained
from gristmill.pipelines import Context
from gristmill.scorers.cherry import Cherry, experience
from gristmill.storage.answers import Answers

COND = {"0": 1.0, "1": 0.2, "2": 1.3, "9": 900.0}
UNCOND = {"0": 2.0, "1": 0.5, "2": 1.2, "9": 1.0}


class Teacher(Engine):
    """Gives the sheet's losses after the training, and others before."""

    ops: ClassVar[frozenset[Op]] = frozenset({"train"})
    calls: list[Any] = Field(default_factory=list)

    @property
    def identity(self) -> str:
        return "teacher"

    async def train(self, request: Train) -> Trained:
        self.calls.append(request)
        lines = []
        for held in request.held_out:
            row, side = held.id.split("/")
            after = (COND if side == "q" else UNCOND).get(row)
            lines += [
                {"id": held.id, "checkpoint": 1, "nll": after},
                {"id": held.id, "checkpoint": 0, "nll": 9.0},
            ]
        return Trained("nowhere", pa.Table.from_pylist(lines, schema=LOSSES), 9, 0, 0)


def decide(stage, outputs, nll, folder):
    n = len(outputs)
    points = [[1.0, 0.0] if i % 2 else [0.0, 1.0] for i in range(n)]
    table = pa.table(
        {
            "id": pa.array([str(i) for i in range(n)], pa.string()),
            "instruction": pa.array(["Go."] * n, pa.string()),
            "output": pa.array(outputs, pa.string()),
            "scores.embedding.vector": pa.array(points, pa.list_(pa.float32())),
            "scores.ic_ifd.nll_prompt": pa.array(nll, pa.float64()),
        }
    )
    engine, answers = Teacher(), Answers(folder / "answers.sqlite")

    async def go() -> Any:
        ctx = Context({"trainer": Client(engine, answers)}, 0, "cherry", "id")
        return await stage.decide(table, ctx)

    try:
        return asyncio.run(go()).to_pylist(), engine
    finally:
        answers.close()


def test_the_worked_rows_of_the_sheet_in_both_forms(tmp_path) -> None:
    lines, engine = decide(Cherry(clusters=2), ["yes"] * 4 + [" "], [1.0] * 5, tmp_path)
    assert [line["loss"] for line in lines[:3]] == pytest.approx([0.5, 0.4, 1.08333], abs=1e-4)
    assert [line["ppl"] for line in lines[:3]] == pytest.approx(
        [0.36788, 0.74082, 1.10517], abs=1e-4
    )
    assert [line["loss"] for line in lines[3:]] == [None, None], "not scored, and no answer"
    (call,) = engine.calls
    assert [p.id for p in call.rows] == ["0", "1", "2", "3"]
    contexts = {p.id: p.context for p in call.held_out}
    assert contexts["0/a"] == []
    assert contexts["0/q"] == [{"role": "user", "content": "Go."}]
    assert len(contexts) == 8
    assert [line["is_experience"] for line in lines] == [True] * 4 + [False]


def test_a_response_that_no_model_expects_has_a_number(tmp_path) -> None:
    lines, _ = decide(Cherry(clusters=2), ["yes"] * 10, [1.0] * 10, tmp_path)
    assert (lines[9]["loss"], lines[9]["ppl"]) == (900.0, pytest.approx(math.exp(700)))


def test_a_cluster_gives_evenly_from_the_middle_half_of_its_prompts() -> None:
    of, nll = np.zeros(80, np.int64), np.arange(80, dtype=np.float64)
    found = experience(of, nll, np.arange(80), 10)
    assert found.tolist() == [20, 24, 28, 32, 36, 40, 44, 48, 52, 56]
    backwards = experience(of, nll, np.arange(80)[::-1], 10)
    assert backwards.tolist() == [59, 55, 51, 47, 43, 39, 35, 31, 27, 23]


def test_a_small_cluster_is_taken_whole_and_a_prompt_without_a_loss_is_in_none() -> None:
    of = np.array([0] * 3 + [1] * 20)
    nll = np.array([1.0, np.nan, 99.0, *range(20)])
    found = experience(of, nll, np.arange(23), 10)
    assert found.tolist() == [0, 2, *range(8, 18)]


@pytest.mark.parametrize("n", [0, 2])
def test_without_a_row_to_learn_from_nothing_is_trained(n, tmp_path) -> None:
    lines, engine = decide(Cherry(), [""] * n, [1.0] * n, tmp_path)
    assert [line["loss"] for line in lines] == [None] * n
    assert engine.calls == []
