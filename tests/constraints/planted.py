"""Types whose checks go on and on, as a module of a user's own may have them."""

import os
import re
import signal
import time

from gristmill.constraints.catalogue import KINDS
from gristmill.constraints.kinds import Found, Kind

TEXT = "a" * 40 + "b"
ASTRAY = re.compile(r"(?:a+)+$")
"""Takes hours on `TEXT`."""


def pattern(text: str) -> Found:
    """Look for what is not there in every way there is."""
    return Found(bool(ASTRAY.search(text)), "found")


def loop(text: str) -> Found:
    """Go round in Python, and take every error for one of its own."""
    while text:
        try:
            text = text.upper()
        except (ValueError, TypeError, RuntimeError):
            continue
    return Found(True, "ended")


def builtin(text: str) -> Found:
    """Add numbers, which no signal interrupts."""
    return Found(sum(range(10**12)) > 0, text)


def sleep(text: str) -> Found:
    """Wait without computing."""
    time.sleep(600)
    return Found(True, text)


def killed(text: str) -> Found:
    """End as when the machine has no memory left."""
    os.kill(os.getpid(), signal.SIGKILL)
    return Found(True, text)


def faulty(text: str) -> Found:
    """Raise."""
    raise ValueError(text)


PLANTED = {
    f"planted:{check.__name__}": Kind(check, "Be planted.")
    for check in (pattern, loop, builtin, sleep, killed, faulty)
}
KINDS.update(PLANTED)
