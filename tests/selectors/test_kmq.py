import numpy as np
import pyarrow as pa
import pytest

from gristmill.geometry.k_means import k_means, silhouette
from gristmill.geometry.picks import drawn_by_weight
from gristmill.selectors.kmq import Kmq


def blobs(*sizes):
    """Return points near the axes, so many at each."""
    rng = np.random.default_rng(0)
    made = np.repeat(np.eye(len(sizes), 8), sizes, axis=0)
    return (made + rng.normal(scale=0.01, size=made.shape)).astype(np.float32)


def decided(stage, points, quality):
    table = {
        "id": [f"{i:03}" for i in range(len(points))],
        "quality": pa.array(quality, pa.float64()),
        "scores.embedding.vector": pa.array(list(points), pa.list_(pa.float32())),
    }
    return stage.decide(pa.table(table)).to_pylist()


def kept(lines, start, stop):
    return sum(line["keep"] for line in lines[start:stop])


def test_the_worked_sizes_of_the_sheet() -> None:
    lines = decided(Kmq(k=20, clusters=(3,)), blobs(60, 30, 10), [1.0] * 100)
    assert [kept(lines, 0, 60), kept(lines, 60, 90), kept(lines, 90, 100)] == [12, 6, 2]
    assert len({line["cluster"] for line in lines[:60]}) == 1
    assert {line["detail"] for line in lines[:60] if not line["keep"]} == {"12 of 60 rows"}


def test_an_equal_budget_is_shared_again_where_a_cluster_is_too_small() -> None:
    lines = decided(Kmq(k=36, clusters=(3,), budget="equal"), blobs(60, 30, 10), [1.0] * 100)
    assert [kept(lines, 0, 60), kept(lines, 60, 90), kept(lines, 90, 100)] == [13, 13, 10]


def test_of_several_numbers_of_clusters_the_best_silhouette_counts() -> None:
    points = blobs(20, 20, 20)
    lines = decided(Kmq(k=3, clusters=(2, 3, 9)), points, [1.0] * 60)
    assert len({line["cluster"] for line in lines}) == 3
    assert silhouette(points, k_means(points, 3).of, 0) > 0.9
    assert silhouette(points, np.zeros(60, np.int64), 0) == -1


def test_a_row_is_drawn_as_often_as_its_quality_says() -> None:
    table = pa.table({"id": [f"{i:04}" for i in range(4000)]})
    weights = np.tile([1.0, 2.0, 3.0, 4.0], 1000)
    for seed in range(3):
        first = drawn_by_weight(table, np.log(weights), seed)[:200]
        shares = np.bincount(first % 4, minlength=4) / 200
        np.testing.assert_allclose(shares, [0.1, 0.2, 0.3, 0.4], atol=0.09)


def test_quality_decides_and_its_exponential_decides_more() -> None:
    quality = [1.0] * 50 + [9.0] * 50
    points = np.tile(blobs(1), (100, 1))
    linear = decided(Kmq(k=20, clusters=(1,)), points, quality)
    steep = decided(Kmq(k=20, clusters=(1,), draw="softmax"), points, quality)
    assert kept(steep, 0, 50) == 0 < kept(linear, 0, 50) < 8


def test_a_quality_below_0_has_no_chance_but_an_exponential() -> None:
    with pytest.raises(ValueError, match=r"quality is -1; a chance is 0 or more.*softmax"):
        decided(Kmq(k=1), blobs(2), [-1.0, 1.0])
    assert decided(Kmq(k=1, clusters=(1,), draw="softmax"), blobs(2), [-99.0, 1.0])[1]["keep"]


def test_what_is_missing_says_so() -> None:
    lines = decided(Kmq(k=9), [*blobs(2), None], [1.0, None, 1.0])
    assert [line["code"] for line in lines] == [None, "unscored", "no_vector"]
    assert [line["cluster"] for line in lines] == [0, None, None]
