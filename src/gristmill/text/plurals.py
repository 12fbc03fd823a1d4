"""How many there are of something, as people say it."""

from collections.abc import Sequence

MOST = 8
"""Things of a list that are named."""


def counted(n: int, what: str = "row") -> str:
    """Return `1 row`, `2 rows`, `1,000 rows`."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def listed(things: Sequence[str]) -> str:
    """Return the first eight of a list, and how many more there are."""
    more = f" and {len(things) - MOST:,} more" if len(things) > MOST else ""
    return ", ".join(things[:MOST]) + more
