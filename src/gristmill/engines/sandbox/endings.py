"""What happened to a run, in words: it comes before anything that the program said."""

from __future__ import annotations

import signal
import sys

from gristmill.engines.sandbox.frames import Report
from gristmill.engines.sandbox.program import Status
from gristmill.engines.sandbox.watch import Outcome

MAX_DETAIL = 2000
ENDS: dict[str, tuple[Status, str]] = {
    "oom": ("oom", "the memory limit was reached"),
    "output_limit": ("output_limit", "more output than the limit"),
    "timeout": ("timeout", "the time limit was reached"),
}


def weigh_end(outcome: Outcome, report: Report) -> tuple[Status, str] | None:
    """Return the status of a run that a limit or the machine ended, or that contradicts itself."""
    if outcome.end in ENDS:
        return ENDS[outcome.end]
    if outcome.end != "done" and outcome.code == 128 + signal.SIGXCPU:
        return "timeout", "the limit of CPU time was reached"
    if outcome.end == "infra" or not report.started:
        return "infra_error", text(outcome.output["stderr"]) or "the sandbox did not start"
    if report.contradiction:
        return "forged", report.contradiction
    return None


def lacks(missing: str, modules: frozenset[str]) -> str:
    """Return the package that an import wanted, "" where it is there and lacks only that part.

    `modules` are those that the profile has besides the standard library.
    """
    top = missing.partition(".")[0]
    return "" if top in sys.stdlib_module_names | modules else top


def ending(code: int) -> str:
    """Say how a process ended."""
    return f"by signal {code - 128}" if code > 128 else f"exit code {code}"


def text(raw: bytes | bytearray) -> str:
    """Return output as text, whatever its bytes are."""
    return bytes(raw).decode("utf-8", "backslashreplace")


def escaped(message: str) -> str:
    """Escape what could forge log lines or terminal output, and cut."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
    return shown[:MAX_DETAIL]
