"""Combined signals: ranks within a prompt, whatever the units, and nothing made up."""

import numpy as np
import pyarrow as pa
import pytest

from gristmill.geometry.beaten import beaten
from gristmill.scorers.combined import Combined


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([3.0, 1.0, 2.0], [1, 0, 0.5]),
        ([5.0, 5.0, 1.0], [0.75, 0.75, 0]),
        ([np.nan, 2.0, 1.0], [np.nan, 1, 0]),
        ([7.0], [1]),
        ([np.nan, 7.0], [np.nan, 1]),
        ([], []),
    ],
)
def test_a_rank_is_the_share_of_others_that_are_beaten(values, found) -> None:
    assert beaten(np.array(values)).tolist() == pytest.approx(found, nan_ok=True)


def scored(rows, **how):
    names = ("id", "instruction", "input", "scores.reward.score", "scores.rubric.score")
    table = pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})
    decided = Combined(**how).decide(table)
    assert all(decided["keep"].to_pylist())
    return decided["total"].to_pylist(), decided["best"].to_pylist()


ROWS = [
    ("b", "p", None, -900.0, 5.0),
    ("a", "p", None, 3.0, 4.0),
    ("c", "p", None, 2.0, 4.5),
    ("d", "q", "x", 0.0, 1.0),
    ("e", "q", "y", 0.0, 1.0),
]


def test_ranks_are_within_a_prompt_and_an_outlier_counts_as_a_rank() -> None:
    total, best = scored(ROWS)
    assert total == [0.5, 0.5, 0.5, 1.0, 1.0]
    assert best == [False, True, False, True, True], "of equals the lowest id; other inputs apart"
    total, best = scored(ROWS, within="table")
    assert total[1] == pytest.approx((1 + 0.5) / 2)
    assert sum(best) == 1


def test_a_missing_signal_gives_no_total_and_no_rank_to_others() -> None:
    rows = [("a", "p", None, None, 5.0), ("b", "p", None, 1.0, 1.0), ("c", "p", None, 2.0, 2.0)]
    total, best = scored(rows)
    assert total == [None, 0.0, (1 + 0.5) / 2]
    assert best == [None, False, True]


def test_one_signal_is_enough(tmp_path) -> None:
    total, _ = scored(ROWS[:3], signals=["scores.reward.score"])
    assert total == [0.0, 1.0, 0.5]
