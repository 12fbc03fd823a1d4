"""Demonstrations that tell two things apart: one of each, then whatever is nearest."""

from __future__ import annotations

from collections.abc import Sequence


def contrasting(
    near: Sequence[int], uses: Sequence[Sequence[str]], pair: Sequence[str]
) -> list[int | str]:
    """Return rows in the order in which they are shown: first one for each of a pair, then others.

    In the place of a row that uses the one and not the other, where there is none, its name stands.

    Args:
        near: Rows, the nearest first.
        uses: What every row uses.
        pair: Two things that are hard to tell apart, or none.
    """
    first = list[int | str]()
    for name in pair:
        others = {*pair} - {name}
        alone = (i for i in near if name in uses[i] and not others & {*uses[i]})
        first.append(next(alone, name))
    return [*first, *(i for i in near if i not in first)]
