"""Probing: which rows of every label are asked about, and which labels fail by the answers.

Source: Li et al., "Infinity Instruct", arXiv:2506.11116 (phase 2), as `scorers.diagnosis` says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean

WORST, BEST = 1.0, 10.0
"""Ratings; an answer without text is worth the least."""
Asked = Mapping[int, list[float] | None]
"""Of rows that were asked about, by place: a rating per student, None where one is unreadable."""


def probed(
    labels: Sequence[Sequence[str]], order: Sequence[int], k: int, asked: Asked
) -> list[int]:
    """Return the places to probe: in `order`, those with a label that has fewer than k so far.

    What was asked before is not asked again, and counts where it was rated.
    """
    seen = Counter(label for place, found in asked.items() if found for label in {*labels[place]})
    chosen = list[int]()
    for place in order:
        if place not in asked and any(seen[label] < k for label in labels[place]):
            chosen.append(place)
            seen.update({*labels[place]})
    return sorted(chosen)


def failing(
    labels: Sequence[Sequence[str]], asked: Asked, *, below: float, least: int, fewest: int
) -> dict[str, float]:
    """Return the labels that fail, and 1 - the mean score (0 to 1) of their answers.

    One fails with at least so many probes, most of them rated, and so many in which no student got
    a rating above `below`.
    """
    probes, bad, means = Counter[str](), Counter[str](), dict[str, list[float]]()
    for place, found in asked.items():
        for label in {*labels[place]}:
            probes[label] += 1
            if found:
                means.setdefault(label, []).append(fmean(found))
                bad[label] += max(found) <= below
    return {
        label: 1 - (fmean(found) - WORST) / (BEST - WORST)
        for label, found in means.items()
        if probes[label] >= least and 2 * len(found) > probes[label] and bad[label] >= fewest
    }
