"""How often, and how fast, samples of a model solve a problem: pass@k and eff@k.

Sources: Chen et al., "Evaluating Large Language Models Trained on Code", arXiv:2107.03374,
section 2.1 (pass@k); Qiu et al., "How Efficient is LLM-Generated Code? A Rigorous & High-Standard
Benchmark", arXiv:2406.06647, sections 2 and 3 (ENAMEL: eff@k).
Differs from the papers: nothing in the formulas. Times should come from outside the program
(`Verdict.wall_ms`, `Verdict.cpu_ms`), and those of the reference from the same machine: a time of
another machine means nothing here.

Pure functions; times are in any one unit, scores have no unit and higher is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from math import isfinite, prod
from statistics import median

ALPHA = 2.0
"""The time limit as a multiple of the slowest reference time."""
HARDNESS = (0.0, 3.0, 3.0, 4.0)
"""Weight of each level of ENAMEL; level 0 only decides correctness."""


def pass_at_k(n: int, c: int, k: int) -> float:
    """Return the chance (0..1) that one of k samples, drawn from n of which c are right, is right.

    `1 - C(n-c, k) / C(n, k)`, computed as `1 - prod_{i=n-c+1..n} (1 - k/i)`: unbiased, and no
    number grows large. Raises ValueError unless 1 <= k <= n and 0 <= c <= n.
    """
    if not 1 <= k <= n or not 0 <= c <= n:
        raise ValueError(f"pass@k needs 1 <= k <= n and 0 <= c <= n, found n={n}, c={c}, k={k}")
    if n - c < k:
        return 1.0
    return 1.0 - prod(1.0 - k / i for i in range(n - c + 1, n + 1))


def eff_at_k(scores: Sequence[float], k: int) -> float:
    """Return the expected best score of k of the n samples, drawn without replacement.

    `sum_{r=k..n} C(r-1, k-1) / C(n, k) * e_(r)` over the scores in ascending order, by the stable
    recursion `w_n = k/n, w_r = w_{r+1} * (1 - (k-1)/r)`. Equals pass@k for scores of 0 and 1.
    Raises ValueError unless 1 <= k <= n and every score is finite.
    """
    n = len(scores)
    if not 1 <= k <= n or not all(map(isfinite, scores)):
        raise ValueError(f"eff@k needs 1 <= k <= n and finite scores, found n={n}, k={k}")
    ordered = sorted(scores)
    weight, total = k / n, 0.0
    for r in range(n, k - 1, -1):
        total += weight * ordered[r - 1]
        weight *= 1 - (k - 1) / (r - 1) if r > 1 else 0.0
    return total


def hodges_lehmann(times: Sequence[float]) -> float:
    """Return the time of one test from its repetitions: the median of `(t_i + t_j)/2`, i <= j.

    One slow repetition moves it little. O(R^2) for R repetitions; ENAMEL has R = 6.
    """
    if not times:
        raise ValueError("a time needs at least one repetition, found none")
    return median((a + b) / 2 for a, b in combinations_with_replacement(times, 2))


def time_limit(references: Sequence[Sequence[float]], alpha: float = ALPHA) -> float:
    """Return T, the limit of every test: alpha times the slowest reference time of any level."""
    return alpha * max(map(max, references))


def level_efficiency(times: Sequence[float], references: Sequence[float], limit: float) -> float:
    """Return `max(0, T - max t) / (T - max ref)` for the tests of one level.

    1 is as fast as the reference; a faster program gets more, so it is not capped at 1.
    """
    reference = max(references)
    if reference >= limit:
        raise ValueError(f"the reference takes {reference}, the limit is {limit}: raise alpha")
    return max(0.0, limit - max(times)) / (limit - reference)


def efficiency(
    levels: Sequence[Sequence[float] | None],
    references: Sequence[Sequence[float]],
    *,
    is_correct: bool = True,
    alpha: float = ALPHA,
    hardness: Sequence[float] = HARDNESS,
) -> float:
    """Return the score `e = sum_l h_l f_l / sum_l h_l` of one sample.

    Args:
        levels: Times of its tests per level; None for a level that ended by a time-out or by want
            of memory, which also ends the later ones.
        references: Times of the reference solution, in the same shape.
        is_correct: False for a wrong output or an exception anywhere: then the score is 0.
        alpha: The time limit as a multiple of the slowest reference time.
        hardness: Weight of each level.
    """
    if not len(levels) == len(references) == len(hardness):
        raise ValueError(f"{len(levels)}, {len(references)}, {len(hardness)}: a level has one each")
    if not is_correct or levels[0] is None:
        return 0.0
    limit = time_limit(references, alpha)
    total, is_alive = 0.0, True
    for times, reference, weight in zip(levels, references, hardness, strict=True):
        is_alive = is_alive and times is not None
        if is_alive and times:
            total += weight * level_efficiency(times, reference, limit)
    return total / sum(hardness)
