import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.errors import RequirementError
from gristmill.geometry.facility_location import facility_location
from gristmill.geometry.knn import knn
from gristmill.geometry.vectors import unit

CROSS = np.array([(0, 0), (1, 0), (5, 0), (5, 1), (0, 5)], np.float32)


def plain(similar, k, weights):
    """The textbook: every gain again for every pick."""
    cover, picks, gains = np.zeros(len(similar)), [], []
    while len(picks) < min(k, len(similar)):
        gain = (np.maximum(similar - cover[:, None], 0) * weights[:, None]).sum(axis=0)
        gain[picks] = -1
        picks.append(int(gain.argmax()))
        gains.append(float(gain.max()))
        cover = np.maximum(cover, similar[:, picks[-1]])
    return picks, gains


def test_the_worked_points_of_the_sheet() -> None:
    found = facility_location(knn(CROSS, 5, "distance"), 3)
    assert found.picks.tolist() == [1, 2, 4]
    assert found.gains.tolist() == pytest.approx([2.059155, 1.104806, 0.836039], abs=1e-4)
    assert found.value == pytest.approx(4.0, abs=1e-4)
    assert found.evaluated <= 12 + 3


def test_a_weight_says_which_points_it_pays_to_be_like() -> None:
    weights = np.array([1, 1, 1, 1, 9.0])
    assert facility_location(knn(CROSS, 5, "distance"), 1, weights).picks.tolist() == [4]


clouds = st.lists(st.tuples(*[st.integers(-4, 4)] * 3), min_size=1, max_size=40)


@given(clouds, st.integers(0, 45), st.integers(0, 3))
def test_lazy_picks_are_plain_greedys_on_a_full_graph(cloud, k, seed) -> None:
    points = np.array(cloud, np.float32)
    weights = np.random.default_rng(seed).integers(0, 3, len(points)).astype(float)
    similar = 1 / (1 + ((points[:, None] - points[None]) ** 2).sum(axis=2))
    graph = knn(points, len(points), "distance")
    dense = np.zeros_like(similar)
    np.put_along_axis(dense, graph.neighbours, graph.similarities.astype(float), axis=1)
    found = facility_location(graph, k, weights)
    picks, gains = plain(np.maximum(dense, dense.T), k, weights)
    assert found.gains.tolist() == pytest.approx(gains, abs=1e-5)
    assert len(found.picks) == len(set(found.picks.tolist())) == len(picks)
    assert all(np.diff(found.gains) <= 0)


def test_equal_gains_go_to_the_lowest_index_and_copies_come_last() -> None:
    points = unit(np.array([(0, 1), (1, 0), (1, 0), (0, 1), (-1, 0)], np.float32))
    found = facility_location(knn(points, 5), 5)
    assert found.picks.tolist() == [0, 1, 4, 2, 3]
    assert found.gains.tolist() == [2, 2, 1, 0, 0]


def test_neighbours_are_the_most_similar_with_the_point_itself_first() -> None:
    points = unit(np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32))
    graph = knn(points, 7)
    similar = np.maximum(points @ points.T, 0)
    assert graph.neighbours[:, 0].tolist() == list(range(200))
    for i in range(200):
        assert set(graph.neighbours[i].tolist()) == set(np.argsort(-similar[i])[:7].tolist())
    assert graph.similarities[:, 1:].min(axis=1) == pytest.approx(np.sort(similar)[:, -7], abs=1e-5)


def test_more_copies_than_edges_leave_every_point_its_own_edge() -> None:
    graph = knn(np.ones((20, 3), np.float32) / np.float32(3**0.5), 4)
    assert graph.neighbours[:, 0].tolist() == list(range(20))
    assert graph.similarities.min() == pytest.approx(1, abs=1e-5)


def test_a_zero_vector_is_like_nothing() -> None:
    graph = knn(np.array([(0, 0), (1, 0)], np.float32), 2)
    assert graph.similarities.tolist() == [[0, 0], [1, 0]]


def test_cells_find_nearly_the_same_neighbours() -> None:
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(20, 16)) * 3
    points = unit((centres[rng.integers(0, 20, 4000)] + rng.normal(size=(4000, 16))).astype("f4"))
    exact, near = knn(points, 10), knn(points, 10, cells=32, probes=8)
    same = [
        len(set(a) & set(b)) / 10 for a, b in zip(exact.neighbours, near.neighbours, strict=True)
    ]
    assert np.mean(same) > 0.95


def test_without_faiss_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(RequirementError, match="needs FAISS, which is not installed; install"):
        knn(CROSS, 2)
