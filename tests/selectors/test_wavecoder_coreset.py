import pyarrow as pa
import pytest

from gristmill.selectors.wavecoder_coreset import WavecoderCoreset


def decided(k, vectors, ids=None):
    column = pa.array(vectors, pa.list_(pa.float32()))
    table = pa.table(
        {"id": ids or [f"{i}" for i in range(len(vectors))], "scores.embedding.vector": column}
    )
    return {line["id"]: line for line in WavecoderCoreset(k=k).decide(table).to_pylist()}


def test_the_rows_that_stay_are_the_selected_ones_not_the_first() -> None:
    lines = decided(3, [[0, 0], [1, 0], [5, 0], [5, 1], [0, 5]])
    assert [lines[i]["rank"] for i in "01234"] == [0, None, None, 1, 2]
    assert [lines[i]["min_dist"] for i in "034"] == [None, pytest.approx(5.09902, abs=1e-4), 5.0]


def test_it_starts_at_the_lowest_id_whatever_the_order() -> None:
    assert decided(1, [[5, 1], [1, 0], [0, 0]], ["b", "c", "a"])["a"]["rank"] == 0


def test_equal_snippets_are_kept_once_and_end_the_traversal() -> None:
    lines = decided(3, [[0, 0], [0, 0], [1, 0], None])
    assert [lines[i]["code"] for i in "0123"] == [None, "zero_distance", None, "no_vector"]
