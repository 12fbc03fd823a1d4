import pyarrow as pa
import pytest

from gristmill.selectors.threshold import Threshold


def decided(stage, scores):
    table = pa.table({"id": list("abcdefgh")[: len(scores)], "x": pa.array(scores, pa.float64())})
    return stage.decide(table).to_pylist()


def test_ratings_of_four_and_a_half_and_more_stay_best_first() -> None:
    lines = decided(Threshold(of="x"), [4.5, 4.49, 5.0, None, 4.5])
    assert [line["rank"] for line in lines] == [1, None, 0, None, 2]
    assert (lines[1]["code"], lines[1]["detail"]) == ("score_too_low", "4.49 < 4.5")
    assert lines[3]["code"] == "unscored"


@pytest.mark.parametrize(
    ("quantile", "kept"), [(0.0, "abcd"), (0.5, "cd"), (0.51, "cd"), (0.7, "d"), (1.0, "d")]
)
def test_a_quantile_is_a_score_of_the_table(quantile, kept) -> None:
    for change in (float, lambda x: x**3, lambda x: 2.0**x):
        lines = decided(Threshold(of="x", quantile=quantile), [change(i) for i in (1, 2, 3, 4)])
        assert "".join(line["id"] for line in lines if line["keep"]) == kept


def test_equal_scores_stay_together() -> None:
    assert all(line["keep"] for line in decided(Threshold(of="x", quantile=0.9), [2, 2, 2]))
