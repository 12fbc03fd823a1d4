"""A bandit over points: which one to try next, given what those tried so far were worth.

Source: Lin et al., "Use Your INSTINCT: Instruction Optimization for LLMs using Neural Bandits
Coupled with Transformers", arXiv:2310.02905, section 3, with ridge regression as the predictor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(slots=True)
class Bandit:
    """Points, (n, d) float64, and the rewards of those that were tried, by place."""

    points: Array
    nu: float = 1.0
    """Weight of what is not known yet."""
    ridge: float = 0.1
    rewards: dict[int, float] = field(default_factory=dict)

    def bounds(self) -> Array:
        """Return predicted reward + nu * its uncertainty, (n,); O(n t d) after t rewards.

        The uncertainty is sqrt(ridge * x' A^-1 x) with A = ridge * I + the sum of x x' over what
        was tried: at most the length of x, and less near what is known.
        """
        tried = self.points[list(self.rewards)]
        inner = self.points @ tried.T
        known = np.linalg.solve(tried @ tried.T + self.ridge * np.eye(len(tried)), inner.T).T
        mean = known @ np.array([*self.rewards.values()], np.float64)
        left = (self.points**2).sum(axis=1) - (known * inner).sum(axis=1)
        return np.asarray(mean + self.nu * np.sqrt(np.maximum(left, 0)))

    def choose(self) -> int:
        """Return the place of the highest bound that was not tried; of equals the first."""
        bounds = self.bounds().round(9)
        bounds[list(self.rewards)] = -np.inf
        return int(bounds.argmax())

    def best(self) -> int:
        """Return the place with the highest reward; of equals the one that was tried first."""
        return max(self.rewards, key=self.rewards.__getitem__)
