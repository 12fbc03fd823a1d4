import pyarrow as pa
import pytest

from gristmill.selectors.contrastive import Contrastive


def decided(*pairs, margin=3.0):
    n = len(pairs)
    table = pa.table(
        {
            "id": [str(i) for i in range(n)],
            "output": ["strong's"] * n,
            "target_output": ["target's"] * n,
            "strong": [pair[0] for pair in pairs],
            "target": [pair[1] for pair in pairs],
        }
    )
    return Contrastive(margin=margin).decide(table).to_pylist()


def test_the_worked_gaps_of_the_sheet() -> None:
    lines = decided((9.0, 5.0), (8.0, 5.0), (5.0, 9.0), (7.0, 7.0))
    assert [line["choice"] for line in lines] == [
        "keep_strong",
        "recycle",
        "keep_target",
        "recycle",
    ]
    assert [line["gap"] for line in lines] == [4, 3, -4, 0]
    assert [line["code"] for line in lines] == [None, "recycle", None, "recycle"]
    assert lines[1]["detail"] == "|3| <= 3"


def test_the_better_answer_stays() -> None:
    lines = decided((9.0, 5.0), (5.0, 9.5))
    assert [line["output"] for line in lines] == ["strong's", "target's"]
    assert [line["rank"] for line in lines] == [1, 0]


def test_both_orders_are_averaged_and_one_unread_order_voids_the_pair() -> None:
    lines = decided(([9.0, 8], [5.0, 6]), ([9.0, None], [1.0, 1]), ([9.0], [1.0, 1]), (None, [1.0]))
    assert lines[0]["gap"] == pytest.approx(3.0)
    assert lines[0]["code"] == "recycle"
    assert [line["code"] for line in lines[1:]] == ["unscored"] * 3
    assert lines[1]["choice"] is None
