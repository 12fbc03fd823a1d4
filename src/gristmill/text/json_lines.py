"""JSON lines in a reply: one object per line, whatever stands around them."""

from __future__ import annotations

import json
from typing import Any


def json_lines(text: str) -> list[dict[str, Any] | str]:
    """Return the objects of a reply in order; a line that tries to be one and is none stays text.

    Lines without a brace are talk, and left out. A comma, or the brackets of a list around an
    object, are no fault.
    """
    found: list[dict[str, Any] | str] = []
    for line in text.splitlines():
        bare = line.strip("[], \t")
        if "{" not in bare:
            continue
        try:
            value = json.loads(bare)
        except (ValueError, RecursionError):
            value = bare
        found.append(value if isinstance(value, dict) else bare)
    return found


def texts(value: Any) -> list[str]:
    """Return the texts of a list, stripped; one text counts as a list split at its commas."""
    items = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    return [item.strip() for item in items if isinstance(item, str) and item.strip()]
