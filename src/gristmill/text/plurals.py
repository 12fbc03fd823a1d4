"""How many there are of something, as people say it."""


def counted(n: int, what: str = "row") -> str:
    """Return `1 row`, `2 rows`, `1,000 rows`."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
