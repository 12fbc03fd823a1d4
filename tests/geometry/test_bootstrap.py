import numpy as np
import pytest

from gristmill.geometry.bootstrap import paired


def test_a_gap_that_is_the_same_everywhere_has_no_width() -> None:
    found = paired(np.full((3, 4), 1.5), np.full((3, 4), 2.0))
    assert (found.mean, found.low, found.high, found.sign) == (-0.5, -0.5, -0.5, -1)


def test_pairs_take_out_what_rows_and_seeds_share() -> None:
    rng = np.random.default_rng(0)
    hard, lucky = rng.normal(0, 5, (1, 40)), rng.normal(0, 5, (5, 1))
    base = hard + lucky
    found = paired(base + 0.1 + rng.normal(0, 0.01, base.shape), base)
    assert found.mean == pytest.approx(0.1, abs=0.01)
    assert 0.09 < found.low < found.mean < found.high < 0.11
    assert found.sign == 1


def test_the_width_is_that_of_the_mean_of_independent_rows() -> None:
    gaps = np.random.default_rng(1).normal(0, 1, (1, 400))
    found = paired(gaps, np.zeros((1, 400)))
    wanted = 2 * 1.96 * gaps.std() / np.sqrt(400)
    assert found.high - found.low == pytest.approx(wanted, rel=0.1)


def test_seeds_that_disagree_make_it_wider() -> None:
    one_way, other = np.full((1, 50), 1.0), np.full((1, 50), -1.0)
    found = paired(np.concatenate([one_way, other]), np.zeros((2, 50)))
    assert (found.low, found.high, found.sign) == (-1, 1, 0)


def test_the_same_numbers_give_the_same_interval() -> None:
    gaps = np.random.default_rng(2).normal(size=(3, 20))
    assert paired(gaps, gaps * 0.5) == paired(gaps, gaps * 0.5)


@pytest.mark.parametrize("shape", [(2, 3), (0, 0)])
def test_what_is_no_pair_is_refused(shape) -> None:
    with pytest.raises(ValueError, match="expected two equal shapes with numbers"):
        paired(np.zeros(shape), np.zeros(shape[::-1]))
