"""The score that a judge ends with, however it decorates it."""

from __future__ import annotations

import re

SCORE = re.compile(r"\bscores?\b\W*(10|\d)(?!\d|[.,]\d)", re.IGNORECASE)
"""`Score: 9`, `**Score:** 9/10`, `Score: [9]`; 9.5 is no whole number."""


def final_score(text: str) -> int | None:
    """Return the last score, 0 to 10, of the last line that is not blank; None without one."""
    found = SCORE.findall(text.strip().rpartition("\n")[2])
    return int(found[-1]) if found else None
