import asyncio
import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from pydantic import Field

from gristmill.engines.base import Engine
from gristmill.engines.client import Client
from gristmill.engines.requests import Op
from gristmill.engines.training import LOSSES, Train, Trained
from gristmill.errors import InputError
from gristmill.geometry.quotas import at_rest, quotas, softmax, source_step
from gristmill.pipelines import Context
from gristmill.selectors.scale_bio import ScaleBio
from gristmill.storage.answers import Answers


def test_the_worked_step_of_the_sheet() -> None:
    aware, alone = np.array([1.0, 2.0]), np.array([0.8, 2.1])
    logits = source_step(np.zeros(2), aware, alone, 10, 0.01)
    assert logits.tolist() == pytest.approx([-0.0075, 0.0075])
    assert softmax(logits).tolist() == pytest.approx([0.49625, 0.50375], abs=1e-6)


def test_the_step_is_the_slope_of_the_penalty() -> None:
    logits, gap = np.array([0.3, -0.2, 0.5]), np.array([0.4, -0.1, 0.2])
    step = (logits - source_step(logits, gap, np.zeros(3), 7.0, 1.0)) / 7
    for i in range(3):
        nudge = np.eye(3)[i] * 1e-6
        slope = (softmax(logits + nudge) @ gap - softmax(logits - nudge) @ gap) / 2e-6
        assert step[i] == pytest.approx(slope, abs=1e-6)


def test_the_counts_of_the_shipped_run() -> None:
    p = [0.19033, 0.14448, 0.13023, 0.11364, 0.36055, 0.06077]
    counts = quotas(20_000, p, [20_000] * 6)
    assert counts[0] in (int(20_000 * 0.19033), int(20_000 * 0.19033) + 1)
    assert counts.sum() == 20_000


def test_the_worked_toy_of_the_sheet() -> None:
    pulls, logits = np.array([0.0, 1.0]), np.zeros(2)
    alone = aware = 0.5
    for _ in range(4000):
        p = softmax(logits)
        alone -= 0.002 * 10 * (p @ (2 * (alone - pulls)))
        aware -= 0.002 * (2 * (aware - 1) + 10 * (p @ (2 * (aware - pulls))))
        logits = source_step(logits, (aware - pulls) ** 2, (alone - pulls) ** 2, 10, 0.01)
    assert softmax(logits).tolist() == pytest.approx([0.066, 0.934], abs=1e-3)
    assert aware == pytest.approx(0.940, abs=1e-3)


def test_logits_stand_still_when_their_mean_does() -> None:
    path = [np.array([x, -x]) for x in (0.0, 0.1, 0.2, 0.204, 0.203, 0.204, 0.203)]
    assert not at_rest(path[:5], 1.0), "too short to say"
    assert not at_rest(path, 0.0205)
    assert at_rest(path, 0.0207), "0.203 and 0.1 are 0.103 apart, in five steps"
    assert not at_rest([np.zeros(2)] * 9, 0.0), "0 never stops"


class Scalar(Engine):
    """A model of one number: a row pulls it to the number that its response is."""

    ops: ClassVar[frozenset[Op]] = frozenset({"train"})
    folder: Path
    calls: list[Any] = Field(default_factory=list)

    @property
    def identity(self) -> str:
        return "scalar"

    async def train(self, request: Train) -> Trained:
        self.calls.append(request)
        x = 0.5
        if request.model:
            x = json.loads((Path(request.model) / "config.json").read_text())["x"]
        total = sum(row.weight for row in request.rows)
        for _ in range(20):
            x -= 0.2 * sum(r.weight * (x - float(r.response)) for r in request.rows) / total
        made = self.folder / f"model{len(self.calls)}"
        made.mkdir()
        (made / "config.json").write_text(json.dumps({"x": x}))
        lines = [
            {"id": row.id, "checkpoint": 1, "nll": (x - float(row.response)) ** 2 / 2}
            for row in request.rows
        ]
        return Trained(str(made), pa.Table.from_pylist(lines, schema=LOSSES), 9, 0, 0)


def decide(stage, folder, sources, outputs, marks=None):
    n = len(sources)
    table = pa.table(
        {
            "id": pa.array([f"{i:03}" for i in range(n)], pa.string()),
            "instruction": pa.array([f"Say {i}." for i in range(n)], pa.string()),
            "output": pa.array(outputs, pa.string()),
            "source": pa.array(sources, pa.string()),
            "is_validation": pa.array(marks or [False] * n, pa.bool_()),
        }
    )
    engine = Scalar(folder=folder)
    answers = Answers(folder / "answers.sqlite")

    async def go() -> Any:
        context = Context({"trainer": Client(engine, answers)}, 0, "scale_bio", "id")
        return await stage.decide(table, context)

    try:
        return asyncio.run(go()).to_pylist(), engine
    finally:
        answers.close()


def test_the_source_that_pulls_where_validation_wants_to_be_gains(tmp_path) -> None:
    sources = ["zero"] * 20 + ["one"] * 20 + ["wanted"] * 4
    outputs = ["0"] * 20 + ["1"] * 24
    marks = [False] * 40 + [True] * 4
    stage = ScaleBio(k=10, rounds=20, still=0, batch=8, alpha=10, rate=2.0)
    lines, engine = decide(stage, tmp_path, sources, outputs, marks)
    assert lines[20]["share"] > 0.9 > 0.1 > lines[0]["share"]
    kept = [sources[i] for i, line in enumerate(lines) if line["keep"]]
    assert kept.count("one") >= 9
    assert [line["code"] for line in lines[40:]] == ["validation"] * 4
    first, second = engine.calls[:2]
    assert [sum(row.weight for row in call.rows) for call in (first, second)] == pytest.approx(
        [1.0, 11.0]
    )
    assert len(first.rows) == 8, "as many of each source"
    assert len(engine.calls) == 40
    starts = [Path(call.model).name for call in engine.calls[2:4]]
    assert starts == ["model1", "model2"], "both go on from where they were"
    later = {row.id for row in engine.calls[2].rows}
    assert not later & {row.id for row in first.rows}, "the next round has other rows"


def test_equal_sources_stay_equal(tmp_path) -> None:
    lines, engine = decide(
        ScaleBio(k=6, rounds=9, alpha=10, rate=2.0),
        tmp_path,
        ["a", "b", "c"] * 6 + ["a"],
        ["1"] * 18 + ["0"],
        [False] * 18 + [True],
    )
    assert [line["share"] for line in lines[:3]] == pytest.approx([1 / 3] * 3)
    assert sum(line["keep"] for line in lines) == 6
    assert len(engine.calls) == 2 * 5, "nothing moved for five rounds"


def test_shares_from_elsewhere_train_nothing_and_what_a_source_lacks_goes_to_the_others(
    tmp_path,
) -> None:
    stage = ScaleBio(k=8, shares=(("a", 0.9), ("b", 0.1)))
    assert stage.needs() == {}
    assert "is_validation" not in stage.reads()
    lines, engine = decide(stage, tmp_path, ["a"] * 3 + ["b"] * 9 + ["c"] * 9, ["1"] * 21)
    kept = [sum(line["keep"] for line in part) for part in (lines[:3], lines[3:12], lines[12:])]
    assert (kept, engine.calls) == ([3, 5, 0], [])
    assert {line["detail"] for line in lines[3:12] if not line["keep"]} == {"rows: 5 of 9"}


def test_no_validation_row_is_an_error_that_says_so(tmp_path) -> None:
    with pytest.raises(InputError, match="no row with an answer has 'is_validation'; mark rows"):
        decide(ScaleBio(k=1), tmp_path, ["a", "b"], ["1", "0"])


@pytest.mark.parametrize(
    ("sources", "outputs", "kept"),
    [([], [], 0), (["a"], ["1"], 1), ([None, "a"], ["1", "1"], 1), (["a", "b"], [" ", "1"], 1)],
)
def test_what_has_one_source_or_none_trains_nothing(sources, outputs, kept, tmp_path) -> None:
    lines, engine = decide(ScaleBio(k=5), tmp_path, sources, outputs)
    assert sum(line["keep"] for line in lines) == kept
    assert {line["code"] for line in lines if not line["keep"]} <= {"no_source"}
    assert engine.calls == []
