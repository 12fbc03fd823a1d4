from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from gristmill.engines.base import Engine
from gristmill.engines.rating import Rate, Rating
from gristmill.engines.requests import Op
from gristmill.errors import InputError
from gristmill.geometry.k_means import k_means, silhouette
from gristmill.geometry.picks import drawn_by_weight
from gristmill.geometry.quotas import reweighted
from gristmill.pipelines import Recipe, run
from gristmill.selectors.kmq import Kmq


def blobs(*sizes):
    """Return points near the axes, so many at each."""
    rng = np.random.default_rng(0)
    made = np.repeat(np.eye(len(sizes), 8), sizes, axis=0)
    return (made + rng.normal(scale=0.01, size=made.shape)).astype(np.float32)


def decided(stage, points, quality, pool=None):
    table = {
        "id": [f"{i:03}" for i in range(len(points))],
        "quality": pa.array(quality, pa.float64()),
        "scores.embedding.vector": pa.array(list(points), pa.list_(pa.float32())),
    }
    return stage.decide(pa.table(table), pool).to_pylist()


def kept(lines, start, stop):
    return sum(line["keep"] for line in lines[start:stop])


def test_the_worked_sizes_of_the_sheet() -> None:
    lines = decided(Kmq(k=20, clusters=(3,)), blobs(60, 30, 10), [1.0] * 100)
    assert [kept(lines, 0, 60), kept(lines, 60, 90), kept(lines, 90, 100)] == [12, 6, 2]
    assert len({line["cluster"] for line in lines[:60]}) == 1
    assert {line["detail"] for line in lines[:60] if not line["keep"]} == {"rows: 12 of 60"}


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
    with pytest.raises(InputError, match=r"quality is -1; a chance is 0 or more.*softmax"):
        decided(Kmq(k=1), blobs(2), [-1.0, 1.0])
    assert decided(Kmq(k=1, clusters=(1,), draw="softmax"), blobs(2), [-99.0, 1.0])[1]["keep"]


def test_what_is_missing_says_so() -> None:
    lines = decided(Kmq(k=9), [*blobs(2), None], [1.0, None, 1.0])
    assert [line["code"] for line in lines] == [None, "unscored", "no_vector"]
    assert [line["cluster"] for line in lines] == [0, None, None]


def test_the_worked_shares_of_the_sheet() -> None:
    even, gains = np.full(3, 1 / 3), np.array([2.0, 1, 1])
    once = reweighted(even, gains, "product")
    assert once.tolist() == pytest.approx([0.5, 0.25, 0.25])
    twice = reweighted(once, gains, "product")
    assert twice.tolist() == pytest.approx([0.66667, 0.16667, 0.16667], abs=1e-4)
    soft = reweighted(even, gains, "softmax")
    assert soft.tolist() == pytest.approx([0.57612, 0.21194, 0.21194], abs=1e-4)
    mixed = reweighted(even, np.array([0.5, 0.2, -0.1]), "softmax")
    assert mixed.tolist() == pytest.approx([0.43675, 0.32355, 0.23969], abs=1e-4)
    lifted = reweighted(even, np.array([0.5, 0.2, -0.1]), "product")
    assert (lifted > 0).all()
    assert lifted.sum() == pytest.approx(1)


@pytest.mark.parametrize(("update", "wanted"), [("softmax", [12, 4, 4]), ("product", [10, 5, 5])])
def test_a_later_round_draws_where_the_picks_had_more_to_teach(update, wanted) -> None:
    points = blobs(40, 40, 40)
    picked = [0, 1, 40, 80]
    pool = pa.table(
        {
            "round": [0] * 4,
            "scores": [
                {"embedding": {"vector": points[i].tolist()}, "reward_gap": {"score": gap}}
                for i, gap in zip(picked, [3.0, 1.0, 1.0, 1.0], strict=True)
            ],
        }
    )
    lines = decided(Kmq(k=20, clusters=(3,), update=update), points, [1.0] * 120, pool)
    assert [kept(lines, i, i + 40) for i in (0, 40, 80)] == wanted
    assert [lines[i]["code"] for i in picked] == ["picked_before"] * 4


class Likes(Engine):
    """Rates an answer by its length."""

    ops: ClassVar[frozenset[Op]] = frozenset({"rate"})

    @property
    def identity(self) -> str:
        return "likes"

    async def rate(self, request: Rate) -> Rating:
        return Rating(float(len(request.messages[-1]["content"])), 1)


def test_the_iterative_recipe_draws_other_rows_in_every_round(engine, tmp_path) -> None:
    recipe = Recipe.load("kmq_iterative", ["engines={}", "rounds={n: 3}"])
    model = engine(answer=lambda prompt, draw: "Because.")
    engines: dict[str, Any] = dict.fromkeys(["generator", "embedder"], model)
    result = run(recipe, engines=engines | {"reward": Likes()}, workspace=tmp_path)
    rows = result.dataset.to_pylist()
    assert [sum(row["round"] == number for row in rows) for number in range(3)] == [4, 4, 4]
    assert len({row["instruction"] for row in rows}) == 12
    assert all(row["scores"]["reward_gap"]["score"] is not None for row in rows)
