"""The bandit: what it predicts, what it does not know, and the best of fifty in twenty."""

import numpy as np
import pytest

from gristmill.geometry.bandit import Bandit


def test_bounds_are_the_ridge_mean_and_what_is_left_to_know() -> None:
    points = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    found = Bandit(points, nu=2.0, ridge=0.25, rewards={0: 1.0}).bounds()
    # A = [[1.25, 0], [0, 0.25]], so theta = [0.8, 0] and ridge * A^-1 = diag(0.2, 1).
    wanted = [0.8 + 2 * 0.2**0.5, 2.0, 0.48 + 2 * (0.36 * 0.2 + 0.64) ** 0.5]
    assert found == pytest.approx(wanted)


@pytest.mark.parametrize("seed", range(5))
def test_of_fifty_points_the_best_one_is_found_in_twenty_trials(seed) -> None:
    of = np.random.default_rng(seed)
    points = of.normal(size=(50, 2))
    worth = points @ np.array([0.3, -0.7])
    bandit = Bandit(points)
    trials = []
    for n in range(20):
        trials.append(n if n < 5 else bandit.choose())
        bandit.rewards[trials[-1]] = float(worth[trials[-1]])
    assert len({*trials}) == 20
    assert bandit.best() == worth.argmax()


def test_of_equals_the_first_counts() -> None:
    bandit = Bandit(np.eye(3), rewards={2: 0.5, 1: 0.5})
    assert bandit.best() == 2
    assert Bandit(np.ones((3, 2)), rewards={0: 1.0}).choose() == 1
