"""Numbered lists in a reply: the items, and which list stands under which heading."""

from __future__ import annotations

import re

ITEM = re.compile(r"(?m)^[ \t]*[*#]*\d{1,3}\s?[.):][*]*[ \t]+")
REST = re.compile(r"\n[^\S\n]*\n(?=\S)(?!\d)|\n(?=[^\S\n]*[*#]*[A-Z][\w -]{0,40}:[*]*[^\S\n]*\n)")
"""Where an item ends besides: an empty line before other text, a line that is a heading."""


def numbered(text: str) -> list[str]:
    """Return the items of the numbered lists in a reply, each on one line, without marks."""
    items = (REST.split(item, maxsplit=1)[0] for item in ITEM.split(text)[1:])
    flat = (" ".join(item.split()).strip("* ") for item in items)
    return [item for item in flat if item]


def numbered_after(text: str, heading: str) -> list[str]:
    """Return the items behind the last line that begins with a heading, in any case; else none."""
    lines = list(re.finditer(rf"(?im)^[ \t*#]*{re.escape(heading)}\b", text))
    return numbered(text[lines[-1].end() :]) if lines else []
