import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.geometry import k_center as module
from gristmill.geometry.k_center import k_center

CROSS = np.array([(0, 0), (1, 0), (5, 0), (5, 1), (0, 5)], np.float32)


def slow(
    points: Any, k: int, first: int, selected: list[int], weights: Any = 1.0
) -> tuple[list[int], list[float]]:
    """The textbook: every distance again for every pick."""
    points = points.astype(np.float64)
    picks, distances = ([], []) if selected else ([first][:k], [math.inf][:k])
    while len(picks) < k:
        centers = points[selected + picks]
        near = np.linalg.norm(points[:, None] - centers[None], axis=2).min(axis=1) * weights
        if near.max() == 0:
            break
        picks.append(int(near.argmax()))
        distances.append(float(near.max()))
    return picks, distances


def test_the_worked_points_of_the_sheet() -> None:
    found = k_center(CROSS, 3, "first")
    assert found.picks.tolist() == [0, 3, 4]
    assert found.distances.tolist() == [math.inf, pytest.approx(5.09902, abs=1e-5), 5.0]
    assert found.radius == 1.0


def test_equal_points_are_picked_once() -> None:
    found = k_center(np.array([(0, 0), (0, 0), (1, 0)], np.float32), 3, "first")
    assert found.picks.tolist() == [0, 2]
    assert found.radius == 0.0


def test_the_start_is_the_point_nearest_to_the_mean() -> None:
    assert k_center(CROSS, 1).picks.tolist() == [1]  # the mean is (2.2, 1.2)
    assert k_center(CROSS, 1, start=4).picks.tolist() == [4]


def test_what_is_selected_already_is_neither_picked_nor_near() -> None:
    found = k_center(CROSS, 9, selected=[3, 0])
    assert found.picks.tolist() == [4, 1, 2]
    assert found.distances.tolist() == [5.0, 1.0, 1.0]


@pytest.mark.parametrize(("n", "picks"), [(0, []), (1, [0]), (7, [0])])
def test_degenerate_pools(n, picks) -> None:
    found = k_center(np.ones((n, 3), np.float32), 5)
    assert found.picks.tolist() == picks
    assert found.radius == 0.0


points = st.lists(st.tuples(*[st.integers(-6, 6)] * 3), min_size=1, max_size=60)


@given(points, st.integers(0, 70), st.data())
@settings(max_examples=150, deadline=None)
def test_it_picks_what_the_slow_version_picks(points, k, data) -> None:
    array = np.array(points, np.float32)
    places = st.integers(0, len(points) - 1)
    first, selected = data.draw(places), data.draw(st.lists(places, max_size=3))
    wanted, distances = slow(array, k, first, selected)
    small, module.BLOCK = module.BLOCK, data.draw(st.sampled_from([1, 2, 7, 1024]))
    try:
        found = k_center(array, k, first, selected)
    finally:
        module.BLOCK = small
    assert found.picks.tolist() == wanted
    np.testing.assert_allclose(found.distances, distances, rtol=1e-6)


def test_many_points_in_many_dimensions_are_exact_too() -> None:
    rng = np.random.default_rng(3)
    points = rng.normal(size=(1500, 32)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    found = k_center(points, 60, "first")
    wanted, distances = slow(points, 60, 0, [])
    assert found.picks.tolist() == wanted
    np.testing.assert_allclose(found.distances, distances, rtol=1e-6)
    assert (np.diff(found.distances[1:]) <= 0).all()
    assert found.radius <= found.distances[-1]


TURN = np.array([(0, 0), (1, 0), (4, 0), (4, 3)], np.float32)


def test_the_worked_weights_of_d3() -> None:
    weights = np.array([0.9, 0.4, 0.2, 0.1])
    found = k_center(TURN, 3, "first", weights=weights)
    assert found.picks.tolist() == [0, 2, 1]
    assert found.distances.tolist() == pytest.approx([math.inf, 0.8, 0.4])
    assert found.radius == pytest.approx(0.3)
    plain = k_center(TURN, 3, "first")
    assert plain.picks.tolist() == [0, 3, 2]
    assert k_center(TURN, 0, selected=[0, 3, 2], weights=weights).radius == pytest.approx(0.4)


def test_equal_weights_change_no_pick() -> None:
    points = np.random.default_rng(4).normal(size=(3000, 8)).astype(np.float32)
    plain = k_center(points, 80)
    found = k_center(points, 80, weights=np.full(3000, 0.25))
    assert found.picks.tolist() == plain.picks.tolist()
    np.testing.assert_allclose(found.distances[1:], plain.distances[1:] / 4)


def test_weighted_picks_are_those_of_the_slow_version_from_block_to_block() -> None:
    rng = np.random.default_rng(5)
    points = rng.normal(size=(2500, 16)).astype(np.float32)
    weights = rng.uniform(0.01, 1, 2500)
    found = k_center(points, 120, "first", [7, 9], weights)
    wanted, distances = slow(points, 120, 0, [7, 9], weights)
    assert found.picks.tolist() == wanted
    np.testing.assert_allclose(found.distances, distances, rtol=1e-6)


def test_weights_of_0_come_last() -> None:
    found = k_center(TURN, 4, "first", weights=np.array([0.5, 0.0, 0.5, 0.0]))
    assert found.picks.tolist() == [0, 2, 1, 3]
    assert found.distances.tolist() == [math.inf, 2.0, 0.0, 0.0]
