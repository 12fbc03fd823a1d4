from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from gristmill.errors import InputError
from gristmill.selectors.k_center import KCenter

DEGREES = [0, 5, 90, 180, 181]


def around(*degrees: float) -> list[list[float]]:
    return [[float(np.cos(a)), float(np.sin(a))] for a in np.radians(degrees)]


def decided(stage: KCenter, ids: list[str], vectors: Any) -> dict[str, dict[str, Any]]:
    column = pa.array(vectors, pa.list_(pa.float32()))
    table = pa.table({"id": ids, "scores.embedding.vector": column})
    return {line["id"]: line for line in stage.decide(table).to_pylist()}


def test_every_row_has_a_rank_or_a_reason() -> None:
    lines = decided(KCenter(k=3, start="first"), list("abcde"), around(*DEGREES))
    assert [lines[i]["rank"] for i in "abcde"] == [0, None, 2, 1, None]
    assert lines["a"]["distance"] is None
    assert lines["d"]["distance"] == pytest.approx(2)
    assert lines["c"]["distance"] == pytest.approx(2**0.5)
    assert (lines["b"]["code"], lines["b"]["detail"]) == ("not_selected", "k=3")


def test_the_order_of_the_rows_changes_nothing() -> None:
    ids, vectors = [f"{i:02}" for i in range(40)], np.random.default_rng(0).normal(size=(40, 8))
    straight = decided(KCenter(k=9), ids, list(vectors))
    backward = decided(KCenter(k=9), ids[::-1], list(vectors[::-1]))
    assert straight == backward
    assert sorted(filter(None, (x["rank"] for x in straight.values()))) == list(range(1, 9))


def test_a_row_without_a_vector_leaves_with_its_own_code() -> None:
    lines = decided(KCenter(k=5), list("abc"), [None, [1.0, 0.0], []])
    assert [lines[i]["code"] for i in "abc"] == ["no_vector", None, "no_vector"]


def test_length_does_not_count_and_copies_are_kept_once() -> None:
    lines = decided(KCenter(k=3), list("abc"), [[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]])
    assert [lines[i]["keep"] for i in "abc"] == [True, False, True]
    assert lines["b"]["code"] == "zero_distance"


@pytest.mark.parametrize("k", [1, 7, 12, 17])
def test_exactly_k_rows_come_back_or_all(k) -> None:
    vectors = list(np.random.default_rng(1).normal(size=(12, 4)))
    lines = decided(KCenter(k=k), [f"{i:02}" for i in range(12)], vectors)
    assert sum(line["keep"] for line in lines.values()) == min(k, 12)


def test_an_empty_table_and_a_table_of_nulls_select_nothing() -> None:
    assert decided(KCenter(k=2), [], []) == {}
    assert decided(KCenter(k=2), ["a"], [None])["a"]["code"] == "no_vector"


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"text": list("abcde"), "vector": around(*DEGREES)}),
        pl.DataFrame({"text": list("abcde"), "vector": around(*DEGREES)}),
        pl.DataFrame(
            {"text": list("abcde"), "vector": np.array(around(*DEGREES), np.float32)},
            schema_overrides={"vector": pl.Array(pl.Float32, 2)},
        ),
        pa.table({"text": list("abcde"), "scores.embedding.vector": around(*DEGREES)}),
        pa.table(
            {
                "text": list("abcde"),
                "scores": [{"embedding": {"vector": v}} for v in around(*DEGREES)],
            }
        ),
    ],
    ids=["arrow", "polars", "polars array", "dotted", "nested"],
)
def test_a_notebook_gets_the_picked_rows_of_its_own_table_best_first(table) -> None:
    picked = KCenter(k=3, start="first")(table)
    assert picked["text"].to_pylist() == ["a", "d", "c"]
    assert picked.column_names == list(
        table.columns if isinstance(table, pl.DataFrame) else table.column_names
    )


def test_a_table_without_vectors_says_what_to_rename() -> None:
    with pytest.raises(InputError, match=r"reads the column .* has \['text'\]; rename .* 'vector'"):
        KCenter(k=1)(pa.table({"text": ["a"]}))


def test_vectors_of_two_models_are_refused() -> None:
    with pytest.raises(InputError, match="vectors have 2, 3 numbers, expected one length"):
        decided(KCenter(k=1), ["a", "b"], [[1.0, 0.0], [1.0, 0.0, 0.0]])
