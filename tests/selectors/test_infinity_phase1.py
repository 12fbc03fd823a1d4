import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from gristmill.selectors.infinity_phase1 import InfinityPhase1, effective_size, log_ratios
from gristmill.text.hashed_ngrams import buckets

CODE = ("Write a Python function that sorts a list.", "Write a Python function that adds numbers.")


def decided(stage, texts, **columns):
    n = len(texts)
    table = {"id": [f"{i:04}" for i in range(n)], "instruction": pa.array(texts, pa.string())}
    for name in ("input", "output", "messages"):
        table[name] = columns.get(name, pa.nulls(n, pa.string()))
    return stage.decide(pa.table(table)).to_pylist()


def test_the_worked_weights_of_the_sheet() -> None:
    ratios = log_ratios(np.array([6.0, 3, 1]), np.array([2.0, 4, 4]))
    assert ratios.tolist() == pytest.approx([1.098612, -0.287682, -1.386294], abs=1e-4)
    weights = np.array([[2, 1, 0], [0, 1, 2]]) @ ratios
    assert weights.tolist() == pytest.approx([1.909543, -3.060271], abs=1e-4)
    odds = np.exp(weights) / np.exp(weights).sum()
    assert odds.tolist() == pytest.approx([0.993103, 0.006897], abs=1e-4)
    assert effective_size(weights) == pytest.approx(1.0139, abs=1e-4)


def test_words_and_pairs_of_words_are_counted() -> None:
    assert len(buckets("One two, three!", 10_000)) == 5
    assert buckets("One two", 10_000) == buckets("one TWO", 10_000)
    assert set(buckets("a b c d e f g", 2)) == {0, 1}


def test_rows_like_the_target_weigh_more_and_are_drawn_first() -> None:
    code = [f"Write a Python function that returns item {i} of a list." for i in range(20)]
    prose = [f"Tell a story about a king with {i} sons and a sad horse." for i in range(80)]
    lines = decided(InfinityPhase1(k=15, target=CODE), prose + code)
    assert min(x["log_weight"] for x in lines[80:]) > max(x["log_weight"] for x in lines[:80])
    assert sum(line["keep"] for line in lines[80:]) == 15


def test_the_mean_over_n_grams_is_the_sum_by_their_number() -> None:
    texts = ["Write a Python function.", "Write a Python function that sorts.", "Tell a sad story."]
    total = decided(InfinityPhase1(k=1, target=CODE), texts)
    mean = decided(InfinityPhase1(k=1, target=CODE, per_gram=True), texts)
    for one, other, n in zip(total, mean, (7, 11, 7), strict=True):
        assert other["log_weight"] == pytest.approx(one["log_weight"] / n)


def test_a_row_without_words_leaves_with_its_code() -> None:
    lines = decided(InfinityPhase1(k=3, target=CODE), [None, "...", "Sort it."])
    assert [line["code"] for line in lines] == ["no_text", "no_text", None]
    assert lines[0]["detail"] == "instruction without words"


def test_other_parts_may_be_compared() -> None:
    stage = InfinityPhase1(k=1, target=CODE, fields=("output",))
    lines = decided(stage, ["x", "x"], output=pa.array(["Python function", "sad horse"]))
    assert lines[0]["log_weight"] > lines[1]["log_weight"]


def test_a_target_may_be_a_file_with_a_text_on_each_line(tmp_path) -> None:
    path = tmp_path / "wanted.txt"
    path.write_text("\n".join([CODE[0], "", CODE[1]]) + "\n")
    assert InfinityPhase1(k=1, target=str(path)).target == CODE
    with pytest.raises(ValidationError, match=r"cannot read 'nowhere.txt' as lines of text"):
        InfinityPhase1(k=1, target="nowhere.txt")
    with pytest.raises(ValidationError, match="at least 1 item"):
        InfinityPhase1(k=1, target=())
