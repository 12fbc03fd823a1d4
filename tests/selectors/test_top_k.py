import pyarrow as pa
import pytest

from gristmill.errors import InputError
from gristmill.selectors.top_k import TopK


def kept(stage, ids, scores):
    lines = stage.decide(pa.table({"id": ids, "x": pa.array(scores, pa.float64())})).to_pylist()
    picks = sorted((line["rank"], line["id"]) for line in lines if line["keep"])
    return "".join(i for _, i in picks), {line["id"]: line["code"] for line in lines}


def test_the_highest_come_first_and_ties_go_to_the_lowest_id() -> None:
    assert kept(TopK(of="x", k=3), list("dcba"), [2, 9, 2, 2])[0] == "cab"
    assert kept(TopK(of="x", k=2, best="lowest"), list("dcba"), [2, 9, 1, 2])[0] == "ba"


def test_what_has_no_score_is_no_zero() -> None:
    picks, codes = kept(TopK(of="x", k=9), list("abcd"), [-5, None, float("nan"), float("inf")])
    assert picks == "a"
    assert [codes[i] for i in "bcd"] == ["unscored"] * 3


@pytest.mark.parametrize(
    ("rate", "of", "n"), [(0.29, "scored", 29), (0.29, "table", 37), (0.001, "scored", 1)]
)
def test_a_share_is_of_the_scored_rows_or_of_all(rate, of, n) -> None:
    scores = [float(i) if i < 100 else None for i in range(130)]
    stage = TopK(of="x", rate=rate, rate_of=of)
    assert len(kept(stage, [chr(200 + i) for i in range(130)], scores)[0]) == n


def test_rows_at_the_bound_are_not_picked_but_count_towards_a_share_of_all() -> None:
    ids, scores = [chr(97 + i) for i in range(10)], [0.1, 0.9, 1.0, 1.1, 0.5, 2, 2, 2, 2, 2]
    picks, codes = kept(TopK(of="x", rate=0.2, rate_of="table", below=1.0), ids, scores)
    assert picks == "be"
    assert (codes["c"], codes["a"]) == ("score_too_high", "not_selected")
    assert kept(TopK(of="x", rate=0.4, below=1.0), ids, scores)[0] == "b"


def test_the_order_flip_of_the_sheet_depends_on_the_column() -> None:
    # A (cond 1.0, uncond 2.0) and B (0.2, 0.5): the sheet's IFD by loss and by perplexity.
    assert kept(TopK(of="x", k=2), ["A", "B"], [0.5, 0.4])[0] == "AB"
    assert kept(TopK(of="x", k=2), ["A", "B"], [0.36788, 0.74082])[0] == "BA"


def test_a_text_is_no_score() -> None:
    with pytest.raises(InputError, match="a score must be a number, found a column of string"):
        TopK(of="x", k=1).decide(pa.table({"id": ["a"], "x": ["b"]}))
