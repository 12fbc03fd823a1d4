import numpy as np
import pyarrow as pa
import pytest

from gristmill.selectors.replay import Replay


def decided(stage, degrees, tasks):
    angles = np.radians(degrees)
    vectors = [None if np.isnan(a) else [float(np.cos(a)), float(np.sin(a))] for a in angles]
    table = {
        "id": [f"{i:02}" for i in range(len(degrees))],
        "source": pa.array(tasks, pa.string()),
        "scores.embedding.vector": pa.array(vectors, pa.list_(pa.float32())),
    }
    return stage.decide(pa.table(table)).to_pylist()


def test_the_worked_sums_of_the_sheet() -> None:
    for rule, ranks in (("diverse", [1, None, None, 0]), ("supportive", [None, 1, 0, None])):
        lines = decided(Replay(k=2, tasks=2, rule=rule), [0, 5, 10, 90], list("abcd"))
        assert [line["score"] for line in lines] == pytest.approx(
            [2.98100, 3.07954, 3.15465, 1.26080], abs=1e-4
        )
        assert [line["task_rank"] for line in lines] == ranks
        assert [line["keep"] for line in lines] == [rank is not None for rank in ranks]


def test_two_outliers_that_are_alike_are_both_picked_but_not_by_k_center() -> None:
    degrees, tasks = [0, 1, 2, 3, 90, 91], list("abcdef")
    plain = decided(Replay(k=2, tasks=2), degrees, tasks)
    spread = decided(Replay(k=2, tasks=2, rule="k_center"), degrees, tasks)
    assert [i for i, line in enumerate(plain) if line["keep"]] == [4, 5]
    assert [i for i, line in enumerate(spread) if line["keep"]] == [0, 5]


def test_tasks_give_rows_evenly_and_the_new_stage_stays_whole() -> None:
    tasks = ["a"] * 6 + ["b"] * 2 + ["new"] * 3 + [None]
    degrees = [0] * 6 + [90] * 2 + [45] * 2 + [float("nan"), 0]
    lines = decided(Replay(k=5, new=("new",)), degrees, tasks)
    kept = [task for task, line in zip(tasks, lines, strict=True) if line["keep"]]
    assert [kept.count(name) for name in ("a", "b", "new")] == [3, 2, 3]
    assert lines[11]["code"] == "no_task"
    assert sum(line["code"] == "not_selected" for line in lines) == 3


def test_a_task_that_was_not_chosen_says_so() -> None:
    lines = decided(Replay(k=1, tasks=1), [0, 0, float("nan")], ["a", "b", "b"])
    assert [line["code"] for line in lines] == [None, "other_task", "no_vector"]
