"""Scripts of several languages that read and print: what they print, whether two print the same."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gristmill.engines.sandbox import line_coverage
from gristmill.engines.sandbox.inspecting import found, inspection
from gristmill.engines.sandbox.program import UNJUDGED, Program, Verdict
from gristmill.engines.sandbox.stdio import lines
from gristmill.text.fences import python_code

Run = Callable[[Program], Awaitable[Verdict]]
PROFILES = {"python": "bare", "cpp": "cpp", "javascript": "javascript", "verilog": "verilog"}
"""Languages that have a runner, and the profile of each."""
ENDED = ("fail", "weak_tests")
"""Good ends of a run that was to print nothing: it printed something, it printed nothing."""

OUTSIDE = re.compile(
    r"(?:EOFError|FileNotFoundError|PermissionError|URLError|gaierror|TimeoutError"
    r"|Connection\w*Error) in the code\b"
)
"""Exceptions of what a run has not here: input, files, a network, leave to open a port."""
BUSY = 0.5
"""Share (0..1) of its time from which on a run that was ended was at work, and waited for nobody:
loops have 0.9 and more of it, servers 0.02."""


@dataclass(frozen=True, slots=True)
class Script:
    """A program with the inputs that it is run on."""

    code: str
    language: str
    inputs: Sequence[str]
    timeout_s: float
    """Of one run, in seconds of wall time."""

    def program(self, i: int, stdout: str, attempt: int = 0) -> Program:
        """Return the run on one input, and what it should print."""
        return Program(
            self.code,
            stdin=self.inputs[i],
            stdout=stdout,
            profile=PROFILES[self.language],
            timeout_s=self.timeout_s,
            attempt=attempt,
        )


async def printed(run: Run, script: Script) -> list[str] | tuple[str, str]:
    """Return what a script prints for each input; else a code and what is wrong.

    `missing_tool`: its language cannot be run here. `bad_source`: a run fails. `flaky`: two runs
    print something else. `weak_tests`: every input gives the same.
    """
    places = [(i, attempt) for attempt in range(2) for i in range(len(script.inputs))]
    verdicts = await asyncio.gather(*(run(script.program(i, "", a)) for i, a in places))
    for verdict in verdicts:
        if verdict.status in UNJUDGED:
            return "missing_tool", verdict.detail
        if verdict.status not in ENDED:
            return "bad_source", f"{verdict.status}: {verdict.detail}"
    texts = [verdict.stdout for verdict in verdicts]
    first, again = texts[: len(script.inputs)], texts[len(script.inputs) :]
    if first != again:
        return "flaky", f"{first}, then {again}"
    if len(set(first)) < 2:
        return "weak_tests", f"{len(first)} inputs, one output"
    return first


async def wrong(run: Run, script: Script, outputs: Sequence[str]) -> tuple[str, str] | None:
    """Return a code and on which input a script does not print what it should; None if it does.

    `wrong`; or `missing_tool`, which says nothing about the script, as in `printed`.
    """
    for i, (verdict, is_right) in enumerate(await _judged(run, script, outputs)):
        if not is_right:
            code = "missing_tool" if verdict.status in UNJUDGED else "wrong"
            return code, f"input {i}: {verdict.status}: {verdict.detail}"
    return None


async def share_right(run: Run, script: Script, outputs: Sequence[str]) -> float | None:
    """Return the share of inputs for which a script prints what it should, 0 to 1.

    None where it cannot be run here.
    """
    judged = await _judged(run, script, outputs)
    if any(verdict.status in UNJUDGED for verdict, _ in judged):
        return None
    return sum(is_right for _, is_right in judged) / len(judged)


async def runs(run: Run, script: Script) -> bool | None:
    """Say whether a script ends well on its first input; None where it cannot be run here."""
    verdict = await run(script.program(0, ""))
    return None if verdict.status in UNJUDGED else verdict.status in ENDED


async def alone(run: Run, answer: str, timeout_s: float) -> bool | str | None:
    """Run the Python of an answer without any input: True if it ends well, else how it ends.

    None where nobody can say: a package is missing, a file, a network, or it waits.
    """
    code = python_code(answer) or answer
    verdict = await run(Script(code, "python", [""], timeout_s).program(0, ""))
    if verdict.status in UNJUDGED or OUTSIDE.match(verdict.detail) or _waits(verdict):
        return None
    return verdict.status in ENDED or f"{verdict.status}: {verdict.detail}"


def _waits(verdict: Verdict) -> bool:
    """Say whether a run was ended while it waited, as a server does; starving is no waiting."""
    if verdict.status != "timeout" or verdict.cpu_ms is None:
        return False
    return verdict.cpu_ms + verdict.starved_ms < BUSY * verdict.wall_ms


async def _judged(run: Run, script: Script, outputs: Sequence[str]) -> list[tuple[Verdict, bool]]:
    """Return each verdict, and whether it is right: to print nothing passes no check."""
    verdicts = await asyncio.gather(*(run(script.program(i, o)) for i, o in enumerate(outputs)))
    return [
        (verdict, verdict.status == ("pass" if lines(output) else "weak_tests"))
        for verdict, output in zip(verdicts, outputs, strict=True)
    ]


async def coverage(run: Run, script: Script) -> float | None:
    """Return the share of its lines that a Python script runs, 0 to 1; None where nobody knows."""
    if script.language != "python":
        return None
    limit_s = script.timeout_s * (1 + len(script.inputs))
    ask = inspection(line_coverage, "covered", script.code, list(script.inputs), timeout_s=limit_s)
    counted = found(await run(ask))
    return counted[0] / counted[1] if counted and counted[1] else None
