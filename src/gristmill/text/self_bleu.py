"""SelfBLEU: how much of a text stands in the others, by its n-grams.

Source: Zhu et al., "Texygen", arXiv:1802.01886, section 3.2; Papineni et al., "BLEU" (2002).
Every other text is a reference: of those only the most occurrences of an n-gram in one of them
count, so one table for all texts is enough, and n texts take linear time. There is no brevity
penalty: among many references one is as long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import exp, log

EPSILON = 0.1
"""What stands for no match at all, so that one missing length of n-grams is not the end."""


def self_bleu(
    texts: Sequence[Sequence[str]], sizes: Iterable[int] = (2, 3, 4, 5)
) -> list[float | None]:
    """Return the SelfBLEU (0..1) of every text, given as words; None for one too short.

    Sizes for which a text is too short are left out of its mean.
    """
    logs = [list[float]() for _ in texts]
    for size in sizes:
        counted = [Counter(zip(*(text[i:] for i in range(size)), strict=False)) for text in texts]
        most: dict[tuple[str, ...], tuple[int, int, int]] = {}
        for owner, counts in enumerate(counted):
            for gram, n in counts.items():
                best, first, second = most.get(gram, (0, -1, 0))
                most[gram] = (n, owner, best) if n > best else (best, first, max(second, n))
        for owner, counts in enumerate(counted):
            total = sum(counts.values())
            if not total:
                continue
            shared = 0
            for gram, n in counts.items():
                best, first, second = most[gram]
                shared += min(n, second if first == owner else best)
            logs[owner].append(log((shared or EPSILON) / total))
    return [exp(sum(found) / len(found)) if found else None for found in logs]
