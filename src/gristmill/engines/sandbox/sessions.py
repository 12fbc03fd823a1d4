"""Cells of an interactive session: run in one process, rebuilt without those that were killed.

Nothing is compared, so nothing can be passed by a trick: a record is what the session's own
process says and prints. What is certain is what was seen from outside: the limits, the end, that
one answer came per cell, after it was asked and in order. Anything else makes the whole `forged`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from marshal import dumps

from gristmill.engines.sandbox.endings import ending, escaped, lacks, text, weigh_end
from gristmill.engines.sandbox.frames import Report, ends, read
from gristmill.engines.sandbox.program import Cell, Program, Status, Verdict, clean
from gristmill.engines.sandbox.turns import ROOM
from gristmill.engines.sandbox.watch import Limits, Outcome

OWN_ENDS = ("exited", "done")
"""Ends that no limit made."""
Execute = Callable[[bytes, bytes, Limits], Outcome]
NO_TIME = "it never ran: the time of the whole session was used up"


class Session:
    """The cells of one program, and what is known about them so far."""

    def __init__(self, program: Program, modules: frozenset[str]) -> None:
        self.program, self.modules = program, modules
        self.killed: dict[int, Cell] = {}
        self.told: dict[int, Cell] = {}
        """Records of the last process; a cell that was killed is run by no later one."""
        self.left_s = program.timeout_s
        self.wall_s = self.starved_s = 0.0
        self.cpu_s: list[float | None] = []

    def go(self, execute: Execute) -> Verdict:
        """Run until every cell has its record; once, and once more for each killed one."""
        while self.left_s > 0:
            waiting = [i for i in range(len(self.program.cells)) if i not in self.killed]
            limits = Limits(
                self.left_s,
                self.program.memory_mb,
                cells=len(waiting),
                cell_timeout_s=self.program.cell_timeout_s,
            )
            outcome, report = _run(self.program, waiting, limits, execute)
            self._count(outcome, limits)
            wrong = _wrong(outcome, report)
            if wrong:
                return self._verdict(*wrong, [])
            marks = outcome.marks
            self.told = {
                waiting[i]: _record(outcome, report, i, self.modules) for i in range(len(marks))
            }
            if len(marks) == len(waiting):
                break
            self.killed[waiting[len(marks)]] = _kill(outcome, report)
            if len(marks) == len(waiting) - 1:
                break
        none = Cell(status="timeout", stdout="", stderr="", value=None, error=NO_TIME)
        known = self.told | self.killed
        cells = [known.get(i, none) for i in range(len(self.program.cells))]
        detail = (cells[-1]["error"] or "").rpartition("\n")[2]
        return self._verdict(cells[-1]["status"], detail, cells)

    def _count(self, outcome: Outcome, limits: Limits) -> None:
        self.left_s -= outcome.wall_s
        self.wall_s += outcome.wall_s
        self.cpu_s.append(outcome.cpu_s)
        self.starved_s += outcome.starved_s if outcome.is_starved(limits) else 0.0

    def _verdict(self, status: Status, detail: str, cells: list[Cell]) -> Verdict:
        known_s = [used_s for used_s in self.cpu_s if used_s is not None]
        is_known = len(known_s) == len(self.cpu_s)
        return Verdict(
            status=status,
            detail=escaped(detail),
            wall_ms=round(self.wall_s * 1000),
            cpu_ms=round(sum(known_s) * 1000) if is_known else None,
            starved_ms=round(self.starved_s * 1000),
            verified_by="cells",
            cells=cells,
        )


def _run(
    program: Program, waiting: list[int], limits: Limits, execute: Execute
) -> tuple[Outcome, Report]:
    nonce = secrets.token_hex(16)
    cells = [(i + 1, clean(program.cells[i])) for i in waiting]
    job = {"mode": "cells", "cells": cells}
    outcome = execute(nonce.encode() + dumps(job), clean(program.stdin).encode(), limits)
    if outcome.end == "oom" and len(outcome.marks) == len(waiting):
        outcome.marks.pop()  # it was seen too late to stop the last one
    said = bytes(outcome.output["frames"])
    if outcome.end not in OWN_ENDS:
        said = said[: max(ends(said), default=0)]  # it was killed, maybe in the middle of a frame
    return outcome, read(said, nonce)


def _wrong(outcome: Outcome, report: Report) -> tuple[Status, str] | None:
    """Return what leaves nothing to believe of the whole session."""
    if report.contradiction:
        return "forged", report.contradiction
    if len(report.values) - len(outcome.marks) > (outcome.end not in OWN_ENDS):
        return "forged", "a cell answered before it was asked"
    found = weigh_end(outcome, report)
    return found if found and found[0] == "infra_error" else None


def _part(outcome: Outcome, i: int, name: str) -> str:
    """Return what came on a stream in turn `i`."""
    start = outcome.marks[i - 1][name] if i else 0
    end = outcome.marks[i][name] if i < len(outcome.marks) else start + ROOM
    return text(outcome.output[name][start:end])


def _record(outcome: Outcome, report: Report, i: int, modules: frozenset[str]) -> Cell:
    value, error, missing = report.values[i]
    status: Status = "pass" if error is None else "error"
    return Cell(
        status="missing_dependency" if lacks(missing, modules) else status,
        stdout=_part(outcome, i, "stdout"),
        stderr=_part(outcome, i, "stderr"),
        value=None if value is None else clean(value),
        error=None if error is None else clean(error),
    )


def _kill(outcome: Outcome, report: Report) -> Cell:
    """Return the record of the cell whose turn it was when the process ended."""
    end = f"the cell ended its interpreter, {ending(outcome.code)}"
    if outcome.end == "processes":
        end = "more processes than the limit"
    status, error = weigh_end(outcome, report) or ("error", end)
    i = len(outcome.marks)
    return Cell(
        status=status,
        stdout=_part(outcome, i, "stdout"),
        stderr=_part(outcome, i, "stderr"),
        value=None,
        error=error,
    )


def trace(program: Program, execute: Execute, modules: frozenset[str]) -> Verdict:
    """Run the cells of a program; `forged` and `infra_error` leave no record.

    `modules` are those that its profile has besides the standard library.
    """
    return Session(program, modules).go(execute)
