"""BM25: how well texts fit a query, by the words that they share.

Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence

K1, B = 1.2, 0.75


def bm25(query: Collection[str], texts: Sequence[Sequence[str]]) -> list[float]:
    """Return a score per text, 0 where no word is shared, higher is better. O(all words).

    Each text is its words; a word of the query counts once.
    """
    counts = [Counter(words) for words in texts]
    frequency = Counter(word for count in counts for word in count)
    mean = sum(map(len, texts)) / len(texts) if texts else 0.0

    def score(count: Counter[str], size: int) -> float:
        room = K1 * (1 - B + B * size / mean) if mean else 0.0
        shared = sorted(count.keys() & set(query))
        return sum(
            math.log(1 + (len(texts) - frequency[word] + 0.5) / (frequency[word] + 0.5))
            * (count[word] * (K1 + 1) / (count[word] + room))
            for word in shared
        )

    return [score(count, len(words)) for count, words in zip(counts, texts, strict=True)]
