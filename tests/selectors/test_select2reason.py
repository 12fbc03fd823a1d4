import numpy as np
import pyarrow as pa
import pytest

from gristmill.selectors.select2reason import Select2Reason, mean_ranks, spearman

HARD, LONG = [0.9, 0.2, 0.6, 0.4], [100.0, 400, 300, 200]


def decided(stage, hard=HARD, long=LONG):
    table = {
        "id": [str(i) for i in range(len(hard))],
        "scores.difficulty.score": pa.array(hard, pa.float64()),
        "scores.trace_length.words": pa.array(long, pa.float64()),
    }
    return stage.decide(pa.table(table)).to_pylist()


@pytest.mark.parametrize(
    ("weight", "joint", "order"),
    [
        (0.25, [3.25, 1.75, 2.0, 3.0], [1, 2, 3, 0]),
        (0.0, [4, 1, 2, 3], [1, 2, 3, 0]),
        (1.0, [1, 4, 2, 3], [0, 2, 3, 1]),
        (0.5, [2.5, 2.5, 2, 3], [2, 0, 1, 3]),
    ],
)
def test_the_worked_ranks_of_the_sheet(weight, joint, order) -> None:
    lines = decided(Select2Reason(k=4, weight=weight))
    assert [line["joint"] for line in lines] == pytest.approx(joint)
    assert sorted(range(4), key=lambda i: lines[i]["rank"]) == order
    assert [line["difficulty_rank"] for line in lines] == [1, 4, 2, 3]
    assert [line["length_rank"] for line in lines] == [4, 1, 2, 3]


def test_the_two_ranks_of_the_sheet_disagree() -> None:
    ranks = mean_ranks(np.array(HARD)), mean_ranks(np.array(LONG))
    assert spearman(*ranks) == pytest.approx(-0.8)


def test_equal_scores_share_their_mean_rank() -> None:
    assert mean_ranks(np.array([5.0, 7, 5, 1, np.nan]))[:4].tolist() == [2.5, 1, 2.5, 4]


def test_a_row_without_a_score_takes_no_rank_from_the_others() -> None:
    lines = decided(Select2Reason(k=1), [0.9, None, 0.5], [5.0, 9.0, 7.0])
    assert [line["code"] for line in lines] == ["not_selected", "unscored", None]
    assert [line["length_rank"] for line in lines] == [2, None, 1]


def test_a_share_is_of_the_scored_rows_and_at_least_one() -> None:
    hard = [i / 30 for i in range(29)] + [None]
    assert sum(line["keep"] for line in decided(Select2Reason(rate=0.1), hard, [1.0] * 30)) == 2
    assert sum(line["keep"] for line in decided(Select2Reason(rate=0.1))) == 1


@pytest.mark.parametrize("change", [np.log, np.exp, lambda x: 3 * x + 1])
def test_growing_changes_of_a_score_change_no_pick(change) -> None:
    changed = decided(Select2Reason(k=2), [float(change(x)) for x in HARD])
    assert [line["rank"] for line in changed] == [
        line["rank"] for line in decided(Select2Reason(k=2))
    ]
