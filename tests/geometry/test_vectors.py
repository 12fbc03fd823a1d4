import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

from gristmill.geometry.vectors import unit, vectors


@pytest.mark.parametrize("size", [1e-38, 1e-30, 1e-15, 1.0, 1e15, 1e20, 3e38])
def test_a_vector_of_any_length_gets_length_1(size) -> None:
    array = np.array([[3, 4], [0, -1], [0, 0]], np.float32) * np.float32(size / 4)
    before = array.copy()
    expected = np.array([[0.6, 0.8], [0, -1], [0, 0]], np.float32)
    np.testing.assert_allclose(unit(array), expected, rtol=1e-6)
    assert (unit(array).dtype, array.tolist()) == (np.float32, before.tolist())


def test_lengths_that_float32_holds_are_divided_by_as_they_are() -> None:
    array = np.random.default_rng(0).normal(size=(200, 384)).astype(np.float32)
    plain = array / np.linalg.norm(array, axis=1, keepdims=True)
    far = np.full((1, 384), 1e30, np.float32)
    assert unit(array).tobytes() == plain.tobytes()
    assert unit(np.concatenate([array, far]))[:200].tobytes() == plain.tobytes()


def test_a_zero_vector_among_many_costs_no_copy_of_all() -> None:
    array = np.ones((20_000, 64), np.float32)
    array[7] = 0
    tracemalloc.start()
    unit(array)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1.5 * array.nbytes


def test_no_vector_is_none() -> None:
    assert unit(np.zeros((0, 3), np.float32)).shape == (0, 3)
    assert unit(np.zeros((2, 0), np.float32)).shape == (2, 0)


@pytest.mark.parametrize("column", [pa.nulls(3), pa.chunked_array([pa.nulls(3)]), pa.nulls(0)])
def test_a_column_of_nulls_has_no_vectors(column) -> None:
    array, there = vectors(column)
    assert (array.shape, there.tolist()) == ((0, 0), [False] * len(column))
