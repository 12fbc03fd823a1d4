import asyncio
from math import log
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from pydantic import Field

from gristmill.engines.base import Engine
from gristmill.engines.client import Client
from gristmill.engines.requests import Op
from gristmill.engines.training import LOSSES, Train, Trained
from gristmill.pipelines import Context
from gristmill.selectors.instruct_mining import InstructMining
from gristmill.storage.answers import Answers


class Probe(Engine):
    """Gives a loss that depends on how many rows it is trained on alone."""

    ops: ClassVar[frozenset[Op]] = frozenset({"train"})
    best: int
    calls: list[Any] = Field(default_factory=list)

    @property
    def identity(self) -> str:
        return "probe"

    async def train(self, request: Train) -> Trained:
        self.calls.append(request)
        after = abs(log(len(request.rows) / self.best)) + 1
        lines = [
            {"id": pair.id, "checkpoint": i, "nll": nll}
            for i, nll in enumerate((9.0, after))
            for pair in (*request.rows, *request.held_out)
        ]
        return Trained("nowhere", pa.Table.from_pylist(lines, schema=LOSSES), 9, 0, 0)


def decide(stage, engine, rows, tmp_path):
    kinds = {"scores.instruct_mining.score": pa.float64(), "output": pa.string(), "h": pa.bool_()}
    ids = [f"{i:03}" for i in range(len(rows))]
    table = {"id": pa.array(ids, pa.string()), "instruction": pa.array(ids, pa.string())}
    table |= {name: pa.array([row[name] for row in rows], kind) for name, kind in kinds.items()}
    answers = Answers(tmp_path / "answers.sqlite")
    ctx = Context({"trainer": Client(engine, answers)}, 0, "size", "id")

    async def go() -> Any:
        return await stage.decide(pa.table(table), ctx)

    try:
        return asyncio.run(go()).to_pylist()
    finally:
        answers.close()


def rows(n, held=20):
    best = [
        {"scores.instruct_mining.score": -float(i), "output": "yes", "h": False} for i in range(n)
    ]
    return best + [{"scores.instruct_mining.score": 9.0, "output": "yes", "h": True}] * held


def test_the_size_with_the_least_loss_is_found_between_the_first_probes(tmp_path) -> None:
    engine = Probe(best=200)
    stage = InstructMining(least=10, probes=3, refine=3, held_out_by="h")
    lines = decide(stage, engine, rows(1000), tmp_path)
    sizes = [len(call.rows) for call in engine.calls]
    # 10, 100, 1000; then roots of 10 * 100 and 100 * 1000, and so on around the best.
    assert sizes == [10, 100, 1000, 32, 316, 178, 562, 133, 237]
    kept = [line["rank"] for line in lines if line["keep"]]
    assert kept == list(range(178)), "178 is nearest to 200 in log n"
    assert {line["code"] for line in lines[1000:]} == {"held_out"}
    assert all(len(call.held_out) == 20 for call in engine.calls)


def test_every_row_tells_the_smallest_size_that_takes_it_in(tmp_path) -> None:
    stage = InstructMining(least=10, probes=3, refine=0, held_out_by="h")
    lines = decide(stage, Probe(best=100), rows(1000), tmp_path)
    assert [lines[i]["size"] for i in (0, 9, 10, 99, 100, 999)] == [10, 10, 100, 100, 1000, 1000]
    assert lines[50]["loss"] == pytest.approx(1.0)
    assert lines[500]["loss"] == pytest.approx(1 + log(10))
    assert lines[500]["detail"] == "k=100 gave the least loss of 3 sizes"
    assert lines[1000]["size"] is None


def test_rows_are_held_out_by_chance_and_never_more_than_half(tmp_path) -> None:
    engine = Probe(best=4)
    lines = decide(InstructMining(least=2, probes=2, refine=0), engine, rows(9, 0), tmp_path)
    held = [line["id"] for line in lines if line["code"] == "held_out"]
    assert len(held) == 4
    assert {pair.id for call in engine.calls for pair in call.held_out} == set(held)
    assert not {pair.id for call in engine.calls for pair in call.rows} & set(held)


def test_a_row_without_a_score_or_an_answer_is_neither_trained_nor_kept(tmp_path) -> None:
    some = [*rows(8, 4), {"scores.instruct_mining.score": None, "output": "yes", "h": False}]
    some.append({"scores.instruct_mining.score": 5.0, "output": " ", "h": False})
    engine = Probe(best=8)
    lines = decide(InstructMining(least=2, held_out_by="h"), engine, some, tmp_path)
    assert [line["code"] for line in lines[-2:]] == ["unscored"] * 2
    assert sum(line["keep"] for line in lines) == 8


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_rows_are_kept_without_a_search(n, tmp_path) -> None:
    engine = Probe(best=1)
    lines = decide(InstructMining(), engine, rows(n, 0), tmp_path)
    assert [line["keep"] for line in lines] == [True] * n
    assert engine.calls == []
