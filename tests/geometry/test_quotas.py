import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.geometry.quotas import first_of_each, plateau, quotas


@pytest.mark.parametrize(
    ("total", "weights", "given_"),
    [
        (11, (0.5, 0.3, 0.2), [6, 3, 2]),
        (13, (0.5, 0.3, 0.2), [6, 4, 3]),
        (10, (0.5, 0.3, 0.2), [5, 3, 2]),
        (20, (60, 30, 10), [12, 6, 2]),
        (1, (1, 1, 1), [1, 0, 0]),
        (0, (1, 1, 1), [0, 0, 0]),
        (4, (0, 0, 0), [2, 1, 1]),
    ],
)
def test_the_worked_budgets_of_the_sheet(total, weights, given_) -> None:
    assert quotas(total, weights, [1000] * 3).tolist() == given_


def test_what_a_full_group_cannot_take_is_shared_again() -> None:
    assert quotas(10, (8, 1, 1), (2, 100, 100)).tolist() == [2, 4, 4]
    assert quotas(10, (1, 1), (3, 4)).tolist() == [3, 4]
    assert quotas(10, (1, 0), (3, 4)).tolist() == [3, 0]


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="weights must be finite and 0 or more"):
        quotas(1, (1, -1), (1, 1))


@given(
    st.integers(0, 60),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12)), min_size=1, max_size=9),
)
def test_the_budget_is_spent_to_the_last_unit(total, pairs) -> None:
    weights, sizes = [float(w) for w, _ in pairs], [size for _, size in pairs]
    given_ = quotas(total, weights, sizes)
    open_ = [s for w, s in zip(weights, sizes, strict=True) if w or not any(weights)]
    assert given_.sum() == min(total, sum(open_))
    assert all(given_ <= sizes)
    assert all(given_ >= 0)


def test_the_first_rows_of_every_group_stay_in_order() -> None:
    order, of = np.array([4, 0, 3, 1, 2]), np.array([0, 1, -1, 0, 1])
    assert first_of_each(order, of, np.array([1, 2])).tolist() == [4, 0, 1]


def test_an_ability_is_flat_from_the_smallest_size_near_its_best() -> None:
    sizes = (1, 4, 16, 64, 256, 1000)
    assert plateau(sizes, (30, 40, 44, 45, 45.2, 45.1), 0.5) == 64
    assert plateau(sizes, (30, 40, 44, 45, 46, 47), 0.5) is None
