import pyarrow as pa
import pytest

from gristmill.selectors.curriculum import Curriculum

SCORES = [0.5, None, 0.1, 0.9, 0.5, 0.3]


def decided(**settings):
    table = pa.table({"id": list("abcdef"), "x": pa.array(SCORES, pa.float64())})
    lines = Curriculum(of="x", **settings).decide(table).to_pylist()
    kept = sorted((line["rank"], line["id"]) for line in lines if line["keep"])
    return "".join(i for _, i in kept), lines


@pytest.mark.parametrize(
    ("settings", "order"),
    [({}, "cfaedb"), ({"first": "hard"}, "daefcb"), ({"unscored": "reject"}, "cfaed")],
)
def test_rows_are_ordered_by_score_then_by_id(settings, order) -> None:
    assert decided(**settings)[0] == order


def test_phases_are_equal_parts_in_an_order_of_chance() -> None:
    orders = {decided(phases=2, seed=seed)[0] for seed in range(20)}
    assert len(orders) > 5
    assert all(set(order[:3]) == set("cfa") for order in orders)
    assert [line["phase"] for line in decided(phases=2)[1]] == [0, 1, 0, 1, 1, 0]


def test_a_row_without_a_score_that_leaves_says_why() -> None:
    line = decided(unscored="reject")[1][1]
    assert (line["code"], line["detail"], line["phase"]) == ("unscored", "x is null", None)
