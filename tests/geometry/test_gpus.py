"""FAISS where there is a GPU: what is moved to it, by a module that says it has one.

The module hands all work to the real FAISS of this machine, and remembers what it was asked.
"""

import sys
from types import ModuleType
from typing import Any

import faiss
import numpy as np
import pytest

from gristmill.geometry.clusters import clusters
from gristmill.geometry.facility_location import facility_location
from gristmill.geometry.k_means import k_means
from gristmill.geometry.knn import knn
from gristmill.geometry.vectors import unit

POINTS = unit(np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32))


class Moved:
    """An index in the memory of a GPU: there it is filled and searched, and not trained."""

    def __init__(self, index: Any, told: list[str]) -> None:
        self.index, self.told = index, told

    def add(self, points: Any) -> None:
        self.told.append(f"add {len(points)}")
        self.index.add(points)

    def search(self, points: Any, k: int) -> Any:
        self.told.append(f"search {len(points)}")
        return self.index.search(points, k)


class OneGpu(ModuleType):
    """FAISS with a GPU."""

    def __init__(self) -> None:
        super().__init__("faiss")
        self.told: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(faiss, name)

    def get_num_gpus(self) -> int:
        return 1

    def index_cpu_to_all_gpus(self, index: Any) -> Moved:
        assert index.is_trained, "the cells would differ from those of a processor"
        self.told.append(f"move {index.ntotal}")
        return Moved(index, self.told)

    def Kmeans(self, *args: Any, gpu: bool, **how: Any) -> Any:
        self.told.append(f"k-means {gpu}")
        return faiss.Kmeans(*args, **how)


@pytest.fixture
def gpu(monkeypatch) -> OneGpu:
    module = OneGpu()
    monkeypatch.setitem(sys.modules, "faiss", module)
    return module


@pytest.mark.parametrize("cells", [0, 6])
@pytest.mark.parametrize("metric", ["cosine", "distance"])
def test_an_index_is_moved_empty_and_gives_the_same_graph(metric, cells, gpu) -> None:
    there = knn(POINTS, 10, metric, cells)
    assert gpu.told == ["move 0", "add 300", "search 300"]
    sys.modules["faiss"] = faiss
    here = knn(POINTS, 10, metric, cells)
    assert np.array_equal(there.neighbours, here.neighbours)
    assert np.array_equal(there.similarities, here.similarities)
    assert facility_location(there, 20).picks.tolist() == facility_location(here, 20).picks.tolist()


def test_means_are_learned_there(gpu) -> None:
    there, groups = k_means(POINTS, 5), [*clusters(POINTS, 5)]
    assert gpu.told == ["k-means True", "k-means True"]
    sys.modules["faiss"] = faiss
    assert np.array_equal(there.of, k_means(POINTS, 5).of)
    assert [one.tolist() for one in groups] == [one.tolist() for one in clusters(POINTS, 5)]


def test_no_points_have_no_means() -> None:
    found = k_means(np.empty((0, 8), np.float32), 5)
    assert (found.centers.shape, found.of.tolist(), found.of.dtype) == ((0, 8), [], np.int64)
