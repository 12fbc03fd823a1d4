import numpy as np
import pyarrow as pa
import pytest

from gristmill.filters.semantic_duplicates import SemanticDuplicates


def around(*degrees: float) -> list[list[float] | None]:
    return [[float(np.cos(a)), float(np.sin(a))] for a in np.radians(degrees)]


def decided(vectors, scores=None, ids=None, **changes) -> dict[str, dict]:
    ids = ids or [chr(97 + i) for i in range(len(vectors))]
    column = pa.array(vectors, pa.list_(pa.float32()))
    table = {"id": ids, "scores.embedding.vector": column}
    if scores is not None:
        table["scores.word_count.words"] = pa.array(scores, pa.float64())
        changes["best"] = "scores.word_count.words"
    stage = SemanticDuplicates(**changes)
    return {line["id"]: line for line in stage.decide(pa.table(table)).to_pylist()}


def kept(*args, **changes) -> str:
    return "".join(i for i, line in sorted(decided(*args, **changes).items()) if line["keep"])


def test_a_row_that_points_the_same_way_leaves_and_names_the_other() -> None:
    lines = decided(around(0, 10, 30), threshold=0.95)  # cos 10 = 0.985, cos 20 = 0.940
    assert [line["keep"] for line in lines.values()] == [True, False, True]
    assert (lines["b"]["code"], lines["b"]["detail"]) == ("semantic_duplicate", "0.985 of a")
    assert lines["a"]["similarity"] is None
    assert lines["c"]["similarity"] == pytest.approx(0.866, abs=1e-3)


def test_a_row_is_compared_with_rows_that_stay_only() -> None:
    assert kept(around(0, 15, 30), threshold=0.95) == "ac"


def test_the_row_with_the_better_score_stays() -> None:
    assert kept(around(0, 5, 90), scores=[1, 2, None]) == "bc"
    assert kept(around(0, 5, 90), scores=[None, None, 3]) == "ac"


def test_a_row_without_a_vector_stays() -> None:
    assert kept([None, *around(0, 1)]) == "ab"
    assert kept([None, None]) == "ab"


def test_length_does_not_matter() -> None:
    assert kept([[1.0, 0.0], [9.0, 0.0]]) == "a"


def test_the_order_of_the_rows_changes_nothing() -> None:
    vectors = np.random.default_rng(3).normal(size=(60, 3)).tolist()
    ids = [f"{i:02}" for i in range(60)]
    straight = decided(vectors, ids=ids)
    assert decided(vectors[::-1], ids=ids[::-1]) == straight
    assert 0 < sum(line["keep"] for line in straight.values()) < 60


def test_within_clusters_most_pairs_are_found_and_none_is_invented() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 16))
    vectors = np.repeat(centres, 5, axis=0) + rng.normal(scale=0.01, size=(200, 16))
    ids = [f"{i:03}" for i in range(200)]
    whole, cells = (decided(vectors.tolist(), ids=ids, cells=n) for n in (0, 8))
    assert sum(line["keep"] for line in whole.values()) == 40
    assert {i for i in ids if whole[i]["keep"]} <= {i for i in ids if cells[i]["keep"]}
    assert sum(line["keep"] for line in cells.values()) <= 44
    assert decided(vectors.tolist(), ids=ids, cells=8) == cells
