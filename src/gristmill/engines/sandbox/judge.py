"""From what was seen outside a run to a verdict that the program could not forge.

A run that ends with exit code 0 has shown nothing. Frames arrive on a descriptor that hostile
code also holds, so they are weighed: expected values never entered the program's process, every
check must be there exactly once, and asserts beside the code are turned round by chance.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from marshal import dumps
from random import Random
from typing import Any, Literal

from gristmill.engines.sandbox.asserts import DRAWN
from gristmill.engines.sandbox.builds import Builds
from gristmill.engines.sandbox.endings import ending, escaped, lacks, text, weigh_end
from gristmill.engines.sandbox.frames import Report, read
from gristmill.engines.sandbox.process import Limits, Outcome
from gristmill.engines.sandbox.profiles import BARE, Profile
from gristmill.engines.sandbox.program import Program, Status, Verdict, clean
from gristmill.engines.sandbox.sessions import trace
from gristmill.engines.sandbox.stdio import difference, lines
from gristmill.engines.sandbox.streams import CAPS
from gristmill.engines.sandbox.values import is_comparable, is_same, show

HARNESS = "18"
"""Raise it when the same program can get another verdict: it is part of every key."""
MAX_BUILT = 33 << 20
"""Bytes that a compiler may print: twice the largest file, as digits."""
UNTOLD: frozenset[Status] = frozenset({"timeout", "oom", "output_limit", "infra_error"})
"""How a control run may end without telling anything about the tests."""
Mode = Literal["auto", "asserts"]
Execute = Callable[[bytes, bytes, Limits], Outcome]
Judged = Callable[..., tuple[Verdict, Report]]


def judge(
    program: Program, execute: Execute, profile: Profile = BARE, builds: Builds | None = None
) -> Verdict:
    """Run a program as often as its verdict needs: once, or up to three times before a pass.

    Mutants, where they are asked for, are a run each. Cells are run and not judged. The profile is
    the one that the program names; `execute` runs where its packages are. What has to be compiled
    is taken from `builds`, or compiled in a run of its own.
    """
    if program.cells:
        return trace(program, execute, profile.modules)
    run = partial(_run, execute=execute, profile=profile)
    marks = secrets.randbits(DRAWN)
    digits = _build(program, run, builds or Builds()) if profile.builds else ""
    if isinstance(digits, Verdict):
        return digits
    verdict, report = run(program, digits=digits, marks=marks)
    if verdict.status != "pass" or report.plan is None or program.calls:
        return verdict
    doubted = _doubt(program, run, verdict, report, ~marks)
    if doubted or not program.mutants:
        return doubted or verdict
    return _try_mutants(program, run, verdict, report.places)


def _build(program: Program, run: Judged, builds: Builds) -> str | Verdict:
    """Return what a program is compiled to, or the verdict when it is to nothing."""
    told: list[Verdict] = []

    def make() -> str:
        verdict, report = run(replace(program, stdin=""), room=MAX_BUILT)
        told.append(verdict)
        # It came to its end within the limits; that it did not print the expected output is clear.
        is_built = report.ended and verdict.status in ("pass", "fail")
        return verdict.stdout.strip() if is_built else ""

    return builds.find(program, make) or told[-1]


def _doubt(
    program: Program, run: Judged, verdict: Verdict, report: Report, marks: int
) -> Verdict | None:
    """Return another verdict when the checks that held prove nothing, else None.

    Of asserts a second run turns round what the first did not: which of the two is which nothing
    in them tells.
    """
    assert report.plan
    mode, _, strong, _ = report.plan
    if not verdict.checks_total:
        nothing = "no output is expected" if mode == "stdio" else "the tests check nothing"
        return replace(verdict, status="weak_tests", detail=nothing)
    if mode != "stdio" and not strong:
        control, seen = _control(program, run, stub=True)
        if control.status in UNTOLD:
            return _untold(verdict, control, "a function that returns None")
        if seen.ended and not seen.contradiction:
            detail = "the tests also accept functions that return None"
            return replace(verdict, status="weak_tests", detail=detail)
    if mode == "asserts":
        control, _ = _control(program, run, marks=marks)
        if control.status in UNTOLD:
            return _untold(verdict, control, "asserts turned round")
        if control.status != "pass":
            return replace(verdict, status=control.status, detail=f"run again: {control.detail}")
    return None


def _try_mutants(program: Program, run: Judged, verdict: Verdict, places: int) -> Verdict:
    """Count the mutants that do not pass; the same places are drawn every time."""
    drawn = sorted(Random(0).sample(range(places), min(places, program.mutants)))
    # A mutant that never ends is killed early: it was slower than the program by far.
    patient_s = min(program.timeout_s, 1 + 5 * verdict.wall_ms / 1000)
    killed = 0
    for i in drawn:
        mutant, _ = run(replace(program, timeout_s=patient_s), mutant=i)
        if mutant.status == "infra_error":
            return mutant
        killed += mutant.status != "pass"
    return replace(verdict, mutants_total=len(drawn), mutants_killed=killed)


def _control(
    program: Program, run: Judged, *, stub: bool = False, marks: int = 0
) -> tuple[Verdict, Report]:
    """Run it for comparison; a run that a limit ended has shown nothing and is made again."""
    control, report = run(program, mode="asserts", stub=stub, marks=marks, is_control=True)
    if control.status in UNTOLD:
        control, report = run(program, mode="asserts", stub=stub, marks=marks, is_control=True)
    return control, report


def _untold(verdict: Verdict, control: Verdict, what: str) -> Verdict:
    """Return no pass: whether its tests tell right from wrong was not seen."""
    detail = f"the tests passed, but their run with {what} did not end: {control.detail}"
    return replace(verdict, status=control.status, detail=detail)


def _run(
    program: Program,
    execute: Execute,
    mode: Mode = "auto",
    *,
    stub: bool = False,
    marks: int = 0,
    is_control: bool = False,
    mutant: int | None = None,
    profile: Profile = BARE,
    digits: str = "",
    room: int = 0,
) -> tuple[Verdict, Report]:
    nonce = secrets.token_hex(16)
    own = "calls" if program.calls else mode if program.stdout is None else "stdio"
    job = {
        "code": profile.script(clean(program.code), digits),
        "tests": clean(program.tests),
        "calls": [clean(text) for text in program.calls],
        "has_stdin": bool(program.stdin),
        "mode": own,
        "stub": stub,
        "marks": marks & (1 << DRAWN) - 1,
        "mutant": mutant,
        "mutates": bool(program.mutants) and not is_control,
    }
    room = room or _room(program)
    limits = Limits(program.timeout_s, program.memory_mb, room, address_mb=profile.address_mb)
    outcome = execute(nonce.encode() + dumps(job), clean(program.stdin).encode(), limits)
    report = read(bytes(outcome.output["frames"]), nonce)
    status, detail = _weigh(outcome, report, program, profile)
    total, passed = _count(report, program, status)
    return (
        Verdict(
            status=status,
            detail=escaped(detail),
            checks_total=total,
            checks_passed=passed,
            stdout=text(outcome.output["stdout"]),
            stderr=text(outcome.output["stderr"]),
            wall_ms=round(outcome.wall_s * 1000),
            cpu_ms=None if outcome.cpu_s is None else round(outcome.cpu_s * 1000),
            starved_ms=round(outcome.starved_s * 1000) if outcome.is_starved(limits) else 0,
            verified_by=report.plan[0] if report.plan else "",
            values=_values(report, len(program.calls)),
        ),
        report,
    )


def _room(program: Program) -> int:
    """Return how much a program may print: twice what is expected, and never less than the cap."""
    return max(CAPS["stdout"], 2 * len((program.stdout or "").encode("utf-8", "replace")))


def _count(report: Report, program: Program, status: Status) -> tuple[int, int]:
    """Return how many checks there are, and how many held."""
    if not report.plan:
        return 0, 0
    if report.plan[0] == "stdio":
        total = int(bool(lines(program.stdout or "")))
        return total, total * (status == "pass")
    return report.plan[1], sum(_is_met(report, i) for i in report.values)


def _values(report: Report, n: int) -> list[Any]:
    """Return what calls gave; nothing that was said next to a contradiction is believed."""
    return [] if report.contradiction else [report.values.get(i) for i in range(n)]


def _is_met(report: Report, i: int) -> bool:
    assert report.plan
    expected = report.plan[3]
    return bool(expected) and is_same(expected[i], report.values[i])


def _weigh(
    outcome: Outcome, report: Report, program: Program, profile: Profile
) -> tuple[Status, str]:
    """Apply the precedence: what happened to the run comes before what the program said."""
    if ended := weigh_end(outcome, report):
        return ended
    if report.unparsable:
        return "error", f"not Python: {report.unparsable}"
    if report.plan is None:
        return "error", "the texts could not be parsed within the limits"
    if outcome.end == "processes":
        return "error", "more processes than the limit"
    if report.raised:
        return _weigh_exception(profile, *report.raised)
    if report.plan[0] == "stdio":
        return _weigh_output(outcome, program)
    return _weigh_ending(outcome, report)


def _weigh_output(outcome: Outcome, program: Program) -> tuple[Status, str]:
    """Compare what was printed; how the program ended it may say by its exit code alone."""
    if outcome.code:
        return "error", f"bad end, {ending(outcome.code)}"
    found = text(outcome.output["stdout"])
    wrong = difference(clean(program.stdout or ""), found, program.tolerance)
    return ("fail", wrong) if wrong else ("pass", "")


def _weigh_exception(
    profile: Profile, name: str, message: str, missing: str, stage: str, file: str
) -> tuple[Status, str]:
    if name == "ModuleNotFoundError" and (lacking := lacks(missing, profile.modules)):
        return "missing_dependency", lacking
    if name == "MemoryError":
        return "error", "MemoryError"
    if name == "AssertionError" and stage == file.removesuffix(".py") == "tests":
        return "fail", f"an assert failed{': ' if message else ''}{message}"
    return "error", f"{name} in the {stage}{': ' if message else ''}{message}"


def _weigh_ending(outcome: Outcome, report: Report) -> tuple[Status, str]:
    if not report.ended:
        return "error", f"incomplete: it ended before the tests did, {ending(outcome.code)}"
    if outcome.code:
        return "error", f"bad end after the tests, {ending(outcome.code)}"
    return _weigh_checks(report)


def _weigh_checks(report: Report) -> tuple[Status, str]:
    assert report.plan
    mode, total, _, expected = report.plan
    missing = total - len(report.values)
    if missing and mode != "asserts":
        return "forged", f"{missing} of {total} checks are missing before the end"
    for i, value in sorted(report.values.items()):
        wanted = expected[i] if expected else ["n"]
        if not is_comparable(wanted, value):
            return "error", f"check {i}: a {value[1]!r:.100} cannot be compared from outside"
        if mode == "calls" and value[0] == "!":
            return "error", f"call {i}: {value[1]!s:.100}"
        if mode == "asserts" and not _is_met(report, i):
            return "forged", f"assert {i} says what it cannot know, or holds when turned round"
        if mode != "calls" and not _is_met(report, i):
            return "fail", f"check {i}: expected {show(expected[i])}, found {show(value)}"
    if missing:
        return "fail", f"{missing} of {total} asserts never ran"
    return "pass", ""
