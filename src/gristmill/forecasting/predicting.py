"""From a sample of seeds to ranges for the whole run. Pure functions on arrays.

Source: Rubin, "The Bayesian Bootstrap", The Annals of Statistics 9 (1981), section 2; seeds are
the units, since the calls and rows of one seed depend on each other. What is stated is a
predictive range: it holds what the sample leaves open about the mean, and how seeds differ. Costs
are smoothed by Silverman's bandwidth (Silverman and Young, Biometrika 74, 1987), since another seed
costs what none of ten did.
Differs from it: the Dirichlet's weight is so small that few seeds give the range of Student's t;
and where every seed of the sample kept as many rows, half of the runs also meet seeds that do not
(Jeffreys' prior for their share), because ten of ten do not prove all. What a table loses because
it holds rows of other seeds grows with them: as if texts were drawn from a pool whose size the
sample tells (the more seeds, the rarer a new text), or as little as not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gristmill.pipelines.recipe import Recipe
from gristmill.pipelines.waves import next_wave, stop_after, stop_for_yield

Numbers = np.ndarray[Any, np.dtype[np.float64]]
DRAWS = 400
LEVEL = 0.9
Z = 1.6449
"""95 % of a normal variable lie below it."""
P = 0.97
"""Quantile of Student's t: with 0.95 the ranges of ten skewed seeds held the fact too rarely."""


@dataclass(frozen=True)
class Range:
    """An expected value, and between what it should lie in 90 of 100 runs."""

    low: float
    expected: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of the range as a share of what is expected; 0 when nothing is."""
        return (self.high - self.low) / 2 / self.expected if self.expected else 0.0


@dataclass(frozen=True)
class Crowd:
    """What of a sample was lost to the rows of other seeds, up to a stage that sees all at once."""

    column: int
    """Its column, the first that the loss shows in."""
    entered: int
    """Rows that came to it, and those lost before."""
    lost: int
    """Rows of which another seed's was named as their like."""


@dataclass(frozen=True)
class Sample:
    """What the first seeds cost and gave."""

    figures: Numbers
    """(rounds, n, f) float64, of every seed."""
    tokens: int
    """The column that a budget looks at."""
    rows: int
    """The column that a target looks at; those after it count a stage's rows each, in order."""
    crowds: tuple[Crowd, ...] = ()
    """In the order of their stages."""


@dataclass(frozen=True)
class Draws:
    """Runs as they may go."""

    totals: Numbers
    """(DRAWS, f) float64, the sum of every figure."""
    seeds: Numbers
    """(DRAWS,) float64, seeds used."""
    waves: Numbers
    """(DRAWS,) float64; 1 for rounds."""


def draw_runs(recipe: Recipe, sample: Sample, n_seeds: int) -> Draws:
    """Let the recipe run over seeds like those of a sample, again and again.

    What the sample has seen is taken as it is. O(DRAWS x waves x n x f), whatever `n_seeds` is.
    """
    rng = np.random.default_rng(0)
    figures = sample.figures
    drawn = Draws(np.empty((DRAWS, figures.shape[2])), np.empty(DRAWS), np.empty(DRAWS))
    for i in range(DRAWS):
        part = _one_world(sample, _unseen(sample, rng) if i % 2 else None, rng)
        left = _thinned(sample, rng)
        run = _one_run(recipe, sample, n_seeds, part, left)
        drawn.totals[i], drawn.seeds[i], drawn.waves[i] = run
    return drawn


Part = Callable[[int, int, int], Numbers]
"""(round, first seed, end) -> (f,) float64, the sums of these seeds' figures."""
Left = Callable[[int], Numbers]
"""(seeds) -> (f,) float64, what more seeds than the sample's leave of each figure's sum."""
FEW = 0.25
"""Likes that a sample without any counts as: less than Jeffreys' half, since most seeds differ."""


def _one_world(sample: Sample, unseen: Numbers | None, rng: np.random.Generator) -> Part:
    """Return what the seeds give, if the sample's have these shares among all others."""
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    figures, known = sample.figures, sample.figures.shape[1]
    wide = max(0.1, ((known - 1) * (Z / stdtrit(max(1, known - 1), P)) ** 2 - 1) / known)
    shares = rng.dirichlet(np.full(known, wide))
    smooth = 0.9 * known**-0.2 * figures.std(axis=1).mean(axis=0)
    rare = 0.0 if unseen is None else rng.beta(0.5, known + 0.5)

    def part(number: int, start: int, end: int) -> Numbers:
        of_round = figures[min(number, len(figures) - 1)]
        fresh = max(0, end - max(start, known))
        n_rare = rng.binomial(fresh, rare) if unseen is not None else 0
        total: Numbers = of_round[start:end].sum(axis=0)
        if fresh:
            total = total + rng.multinomial(fresh - n_rare, shares) @ of_round
            total[: sample.rows] += smooth[: sample.rows] * rng.normal() * fresh**0.5
        return total if unseen is None else total + n_rare * unseen

    return part


def _new(drawn: Any) -> Any:
    """Return the share of new ones among texts drawn from a pool, `drawn` of each on average."""
    return -np.expm1(-drawn) / drawn


POOL = np.geomspace(1e-9, 1e9, 2000)
"""Texts drawn per text that there is; in `KNOWN`, the share of them that was there already."""
KNOWN = 1 - _new(POOL)


def _thinned(sample: Sample, rng: np.random.Generator) -> Left:
    """Return what tables leave, if the likes that they found across seeds become more like this.

    The growth lies between none (a few texts that everybody writes) and a pool of equal texts.
    """
    from scipy.special import betaincinv

    known, power = sample.figures.shape[1], min(1.0, max(0.0, rng.uniform(-1.5, 2.5)))
    found, luck = [], rng.uniform()
    for crowd in sample.crowds:
        share = betaincinv(crowd.lost + FEW, crowd.entered - crowd.lost + 0.5, luck)
        found.append((crowd.column, np.interp(share, KNOWN, POOL)))

    def left(seeds: int) -> Numbers:
        shares = np.ones(sample.figures.shape[2])
        for column, drawn in found:
            rest = _new(drawn * max(1.0, seeds / known) ** power) / _new(drawn)
            shares[[sample.rows, *range(column, len(shares))]] = rest
        return shares

    return left


def _one_run(
    recipe: Recipe, sample: Sample, n_seeds: int, part: Part, left: Left
) -> tuple[Numbers, int, int]:
    """Return the sums of one run, its seeds and waves: it goes on and stops as `Run` does."""

    def stops(total: Numbers, *, is_last: bool) -> bool:
        found = round(total[sample.rows]), round(total[sample.tokens])
        return stop_after(recipe, *found, is_last=is_last) is not None

    total, end, waves = part(0, 0, 0), 0, 1
    if recipe.rounds:
        for number in range(recipe.rounds.n):
            found = part(number, 0, n_seeds) * left(n_seeds)
            total = total + found
            if stops(total, is_last=False) or stop_for_yield(
                recipe, n_seeds, round(found[sample.rows])
            ):
                break
        return total, n_seeds, waves
    while True:
        seen = total * left(end)
        more = next_wave(recipe, end, n_seeds, round(seen[sample.rows]), round(seen[sample.tokens]))
        total, end = total + part(0, end, more), more
        if stops(total * left(end), is_last=end == n_seeds):
            return total * left(end), end, waves
        waves += 1


def range_of(draws: Numbers) -> Range:
    """Return the middle 90 % of equally likely values, and the median."""
    low, expected, high = np.quantile(draws, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])
    return Range(float(low), float(expected), float(high))


def between(low: Numbers, high: Numbers) -> Numbers:
    """Return a value between every two bounds, (DRAWS,): of it only the size is known."""
    low, high = np.maximum(low, 1e-9), np.maximum(high, 1e-9)
    share = np.random.default_rng(1).permutation(np.linspace(0, 1, len(low)))
    drawn: Numbers = low * (high / low) ** share
    return drawn


def _unseen(sample: Sample, rng: np.random.Generator) -> Numbers | None:
    """Return a seed that keeps another number of rows than all of the sample did.

    It does so wherever they were all alike, from the first such stage on; what it costs before it
    leaves is some share of the average, or all of it where it gives rows that they did not.
    """
    kept = sample.figures[0, :, sample.rows :]
    same = kept.min(axis=0) == kept.max(axis=0)
    if not same.any():
        return None
    seed: Numbers = sample.figures[0].mean(axis=0)
    if kept[0, same].any():
        seed[: sample.rows] *= rng.uniform()
    seed[sample.rows :] = np.where(same, np.where(kept[0] > 0, 0.0, 1.0), kept.mean(axis=0))
    return seed
