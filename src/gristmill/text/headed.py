"""Parts of a reply that stand behind heads or between tags, found in one look each.

One pattern for a whole reply looks for what is missing from every place where it could begin: of a
megabyte of openings without an end it would never come back.
"""

from __future__ import annotations

import re
from collections.abc import Collection


def headed(text: str, *heads: re.Pattern[str]) -> list[str] | None:
    r"""Return what stands before the first head, and behind each, in order; None without all.

    The first place of a head counts, after the head before it; there is something before the first
    one, if only a line that is empty. Parts are stripped.

    >>> headed("Why?\nanswer: It rains.", re.compile("^answer:", re.MULTILINE))
    ['Why?', 'It rains.']
    """
    parts, start, at = list[str](), 0, 1
    for head in heads:
        if not (found := head.search(text, at)):
            return None
        parts.append(text[start : found.start()].strip())
        start = at = found.end()
    return [*parts, text[start:].strip()]


def tagged(text: str, names: Collection[str]) -> list[tuple[str, str]]:
    """Return name and content of every pair of tags that is closed, in order; none inside another.

    >>> tagged("<a>1</a> <b>2 <a>3</a>", ["a", "b"])
    [('a', '1'), ('a', '3')]
    """
    opening = re.compile(f"<({'|'.join(map(re.escape, names))})>")
    found, at, unclosed = list[tuple[str, str]](), 0, set[str]()
    while begin := opening.search(text, at):
        name, at = begin[1], begin.end()
        end = -1 if name in unclosed else text.find(f"</{name}>", at)
        if end < 0:
            unclosed.add(name)
        else:
            found.append((name, text[at:end]))
            at = end + len(name) + 3
    return found
