import asyncio
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from pydantic import Field

from gristmill.engines.base import Engine
from gristmill.engines.client import Client
from gristmill.engines.requests import Op
from gristmill.engines.training import LOSSES, Train, Trained, mean_losses
from gristmill.geometry.quotas import skill_shares
from gristmill.pipelines import Context
from gristmill.selectors.skill_it import SkillIt
from gristmill.storage.answers import Answers

BEFORE = {"x": 2.0, "y": 3.0}
AFTER = {"x": {"x": 1.2, "y": 2.7}, "y": {"x": 2.1, "y": 1.5}}


class Teacher(Engine):
    """Lowers losses as in the sheet's graph: by the skill of the first row that it is given."""

    ops: ClassVar[frozenset[Op]] = frozenset({"train"})
    folder: Path = Path("nowhere")
    calls: list[Any] = Field(default_factory=list)

    @property
    def identity(self) -> str:
        return "teacher"

    async def train(self, request: Train) -> Trained:
        self.calls.append(request)
        skill = request.rows[0].response
        lines = [
            {"id": pair.id, "checkpoint": i, "nll": nll}
            for pair in request.held_out
            for i, nll in enumerate((BEFORE[pair.response], AFTER[skill][pair.response]))
        ]
        return Trained(str(self.folder), pa.Table.from_pylist(lines, schema=LOSSES), 9, 0, 0)


def decide(stage, engine, skills, tmp_path, outputs=None):
    table = pa.table(
        {
            "id": pa.array([f"{i:03}" for i in range(len(skills))], pa.string()),
            "instruction": pa.array([f"Do {i}." for i in range(len(skills))], pa.string()),
            "output": pa.array(outputs or [s or "x" for s in skills], pa.string()),
            "source": pa.array(skills, pa.string()),
        }
    )
    answers = Answers(tmp_path / "answers.sqlite")
    client = Client(engine, answers)

    async def go() -> Any:
        return await stage.decide(table, Context({"trainer": client}, 0, "skills", "id"))

    try:
        return asyncio.run(go()).to_pylist()
    finally:
        answers.close()


def test_the_worked_shares_of_the_sheet() -> None:
    edges = np.array([[1, 0.5], [0, 1]])
    first, second = np.array([1.0, 2]), np.array([0.4, 1.6])
    shares = [skill_shares(edges, seen, 0.5, 3) for seen in ([], [first], [first, second])]
    assert shares[0].tolist() == pytest.approx([0.562177, 0.437823], abs=1e-4)
    assert shares[1].tolist() == pytest.approx([0.5, 0.5])
    assert shares[2].tolist() == pytest.approx([0.450166, 0.549834], abs=1e-4)
    assert skill_shares(edges, [second, first], 0.5, 1).tolist() == pytest.approx([0.5, 0.5])
    alone = skill_shares(np.eye(2), [first], 0.5, 3)
    assert alone.tolist() == pytest.approx([0.377541, 0.622459], abs=1e-4)
    assert skill_shares(np.ones((2, 2)), [first], 100, 3).tolist() == [0.5, 0.5]


def test_the_worked_graph_of_the_sheet_is_learned_from_trainings(tmp_path) -> None:
    engine = Teacher()
    stage = SkillIt(k=60, rounds=1, held_out=4, proxy=5)
    lines = decide(stage, engine, ["x"] * 100 + ["y"] * 100, tmp_path)
    assert [len(call.rows) for call in engine.calls] == [5, 5]
    assert [len(call.held_out) for call in engine.calls] == [8, 8]
    shares = skill_shares(np.array([[0.8, 0.3], [0, 1.5]]), [], 0.5, 3)
    share = {line["id"] < "100": line["share"] for line in lines if line["keep"]}
    assert [share[True], share[False]] == pytest.approx(shares.tolist())
    kept = sum(line["keep"] for line in lines[:100])
    assert kept == round(60 * shares[0])
    assert sum(line["keep"] for line in lines) == 60


def test_a_round_follows_the_losses_of_the_model_before_it_and_goes_on_from_the_last(
    tmp_path,
) -> None:
    (tmp_path / "config.json").write_text("{}")
    engine = Teacher(folder=tmp_path)
    edges = (("x", "x", 1.0), ("x", "y", 0.5), ("y", "y", 1.0))
    stage = SkillIt(k=9, rounds=3, edges=edges, held_out=2, window=2)
    lines = decide(stage, engine, ["x"] * 20 + ["y"] * 20, tmp_path)
    assert [len(call.rows) for call in engine.calls] == [3, 3], "the last round needs no training"
    assert [call.model for call in engine.calls] == ["", str(tmp_path)]
    matrix, losses = np.array([[1, 0.5], [0, 1]]), np.array([2.0, 3.0])
    for number, seen in enumerate(([], [losses], [losses, losses])):
        p = skill_shares(matrix, seen, 0.5, 2)
        found = [line["share"] for line in lines[:20] if line["round"] == number]
        assert found == pytest.approx([p[0]] * len(found))
    ranks = {line["rank"]: line["round"] for line in lines if line["keep"]}
    assert [ranks[rank] for rank in range(9)] == [0] * 3 + [1] * 3 + [2] * 3


def test_a_skill_without_rows_left_gives_its_share_to_the_others(tmp_path) -> None:
    edges = (("x", "x", 9.0),)
    lines = decide(
        SkillIt(k=10, rounds=2, edges=edges, held_out=1),
        Teacher(),
        ["x"] * 4 + ["y"] * 20,
        tmp_path,
    )
    assert sum(line["keep"] for line in lines[:4]) == 3
    assert sum(line["keep"] for line in lines) == 10
    assert [line["code"] for line in lines].count("held_out") == 2


def test_rows_without_a_skill_or_an_answer_leave_with_a_code(tmp_path) -> None:
    skills, outputs = ["x", None, "x", "x"], ["x", "x", " ", "x"]
    lines = decide(SkillIt(k=1, held_out=1), Teacher(), skills, tmp_path, outputs)
    assert [lines[i]["code"] for i in (1, 2)] == ["no_skill", "no_skill"]
    assert sorted(str(lines[i]["code"]) for i in (0, 3)) == ["None", "held_out"]


@pytest.mark.parametrize("n", [0, 1])
def test_no_row_and_one_row_train_nothing(n, tmp_path) -> None:
    engine = Teacher()
    assert [line["keep"] for line in decide(SkillIt(k=3), engine, ["x"] * n, tmp_path)] == [
        True
    ] * n
    assert engine.calls == []


def test_a_group_without_a_loss_has_no_loss() -> None:
    losses = pa.Table.from_pylist([{"id": "a", "checkpoint": 0, "nll": 2.0}], schema=LOSSES)
    assert mean_losses(losses, {"a": 0, "b": 1}, 2) == [2.0, float("inf")]
