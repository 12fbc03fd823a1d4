"""ROUGE-L: how much of two texts is one common subsequence of words.

Source: Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004, section 3.
Differs from the paper: no stemming, and the F-measure weighs both sides alike (beta 1).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from gristmill.text.words import words

READ = 10_000
"""Elements that are compared: the time of two books grows with the product of their lengths."""


def rouge_l(a: str, b: str) -> float:
    """Return the F-measure (0..1) of the longest common subsequence; symmetric; 0 when empty."""
    return f_measure(words(a), words(b))


def f_measure(first: Sequence[str], second: Sequence[str]) -> float:
    """Return ROUGE-L of two lists of words."""
    common = common_length(first, second)
    return 2 * common / (len(first) + len(second)) if common else 0.0


def repeats(
    child: Sequence[str], parent: Sequence[str], rate: float = 0.9, added: int = 10
) -> bool:
    """Say whether the words of a rewrite plainly bring nothing new.

    It has the same words in the same order, or reaches ROUGE-L `rate` with fewer than `added`
    more words: alone, the rate would count ten good new words on top of a hundred as nothing.
    """
    if child == parent:
        return True
    small, total = min(len(child), len(parent)), len(child) + len(parent)
    if len(child) - len(parent) >= added or 2 * small / total < rate:
        return False
    return f_measure(child, parent) >= rate


def common_length(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """Return the length of the longest common subsequence.

    Between equal beginnings and ends `READ` elements of each side are compared: of two books that
    differ more it is at least what is returned.
    """
    small = min(len(a), len(b))
    start = next((i for i in range(small) if a[i] != b[i]), small)
    rest = small - start
    end = next((i for i in range(rest) if a[-1 - i] != b[-1 - i]), rest)
    from rapidfuzz.distance import LCSseq

    between = (a[start : len(a) - end][:READ], b[start : len(b) - end][:READ])
    return start + end + LCSseq.similarity(*between)
