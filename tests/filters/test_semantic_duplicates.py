import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.errors import InputError
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


@pytest.fixture
def published(tmp_path):
    """The dataset of another run: rows at 40 and 41 degrees, and one without a vector."""
    vectors = [{"embedding": {"vector": v}} for v in [*around(40, 41), None]]
    folder = tmp_path / "data"
    folder.mkdir()
    pq.write_table(pa.table({"id": ["x", "y", "z"], "scores": vectors}), folder / "0.parquet")
    return str(folder)


def test_a_row_of_another_dataset_stays_and_others_like_it_leave(published) -> None:
    lines = decided(around(42, 90, 92), scores=[9, 1, 2], against=[published], threshold=0.99)
    assert [line["keep"] for line in lines.values()] == [False, False, True]
    assert lines["a"]["detail"] == "1.000 of y in 0.parquet"
    assert lines["b"]["detail"] == "0.999 of c"
    # The cosine of 92 - 41 degrees.
    assert lines["c"]["similarity"] == pytest.approx(0.629, abs=1e-3)


def test_within_clusters_all_other_datasets_count(published) -> None:
    assert kept(around(39, 90, 170, 255), against=[published], cells=3) == "bcd"


@pytest.mark.parametrize(
    ("table", "vectors", "why"),
    [
        ({"id": ["x"]}, around(0), r"0\.parquet .* scores\.embedding\.vector"),
        ({"id": ["x"], "scores": [{"ifd": 1.0}]}, around(0), r"scores\.embedding\.vector"),
        ({"id": ["x"], "scores": [{"embedding": {"vector": [1.0]}}]}, around(0), r"\[1, 2\] numb"),
    ],
)
def test_another_dataset_must_have_the_same_vectors(tmp_path, table, vectors, why) -> None:
    pq.write_table(pa.table(table), tmp_path / "0.parquet")
    with pytest.raises(InputError, match=why):
        decided(vectors, against=[str(tmp_path / "0.parquet")])
