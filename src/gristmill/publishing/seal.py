"""The seal of a card: a last line by which anybody can tell whether it was edited since."""

from __future__ import annotations

import re

from gristmill.storage.ids import digest

SEAL = "<!-- as gristmill wrote it: {} -->\n"
SEALED = re.compile(r"(?s)(.*)\n<!-- as gristmill wrote it: ([0-9a-f]+) -->\s*")


def seal(text: str) -> str:
    """Return a text with its seal below it."""
    return f"{text.rstrip()}\n{SEAL.format(_sum(text))}"


def is_sealed(text: str) -> bool:
    """Say whether a text has a seal and is as it was then; ends of lines do not count."""
    found = SEALED.fullmatch(text.replace("\r\n", "\n"))
    return found is not None and found[2] == _sum(found[1])


def _sum(text: str) -> str:
    return digest(text.rstrip())
