"""Text from rows is data: made harmless for a terminal, a Markdown page and a line of a table.

HTML needs nothing here, because the report's templates escape by default. What would change how
other text looks or reads (ANSI sequences, controls, bidirectional overrides, invisible tags) is
taken out everywhere.
"""

from __future__ import annotations

import json
import re

ANSI = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, cursor, erasing
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)?"  # titles, links
    "|\x1b[ -/]*[0-~]?"
)
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)
BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
LONE = re.compile("[\ud800-\udfff]")
UNSAFE = re.compile(f"{HIDDEN.pattern}|{BREAKS.pattern}|{LONE.pattern}")


def printable(text: str) -> str:
    """Return the text without anything that a terminal or a page would act on; lines stay."""
    text = LONE.sub("\ufffd", ANSI.sub("", text))
    return HIDDEN.sub("", BREAKS.sub("\n", text))


def escaped(text: str) -> str:
    """Return JSON with the same content, on one line, that a terminal may be shown."""
    return UNSAFE.sub(lambda found: json.dumps(found[0])[1:-1], text)


def line(text: str, limit: int | None = None) -> str:
    """Return the printable text on one line, cut to `limit` characters."""
    return cut(" ".join(printable(text).split()), limit)


def cut(text: str, limit: int | None) -> str:
    """Return at most `limit` characters; the last one says that there was more."""
    if limit is None or len(text) <= limit:
        return text
    return text[: limit - 1].rstrip() + "…"


def markup(text: str) -> str:
    """Return the printable text for a place where rich reads `[tags]`."""
    from rich.markup import escape

    return escape(printable(text))


def code_span(text: str, limit: int | None = None) -> str:
    """Return a Markdown code span for a table's cell: no HTML, link, emphasis or column in it."""
    text = line(text, limit)
    if not text:
        return ""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text[0] == "`" or text[-1] == "`" else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|")
