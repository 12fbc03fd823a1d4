"""What a run said on the descriptor of its results, read as hostile text.

The program holds that descriptor too, so no frame is believed for its own sake: each has to fit
the protocol, and the first that cannot be true makes the rest worthless.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Report:
    """The frames of one run, checked against the protocol."""

    plan: tuple[str, int, bool, list[Any]] | None = None
    """Mode, checks found by the parser, whether they fail for a stub, expected values."""
    places: int = 0
    """Where a mutant of the code could be made; counted when asked for."""
    values: dict[int, Any] = field(default_factory=dict)
    """What each check gave; for a cell: its value, its traceback, the module it lacked."""
    unparsable: str = ""
    raised: tuple[str, str, str, str, str] | None = None
    """Type, message, missing module, stage, file of the innermost frame."""
    ended: bool = False
    started: bool = False
    ready: bool = False
    contradiction: str = ""


def read(frames: bytes, nonce: str) -> Report:
    """Read frames one by one; the first that cannot be true makes the rest worthless."""
    report = Report()
    at = 0
    while at < len(frames) and not report.contradiction:
        size = int.from_bytes(frames[at : at + 4], "big")
        body = frames[at + 4 : at + 4 + size]
        at += 4 + size
        try:
            parts = json.loads(body.decode()) if len(body) == size else None
        except (ValueError, RecursionError):
            parts = None
        if not isinstance(parts, list) or len(parts) < 2 or parts[0] != nonce:
            report.contradiction = "something else wrote to the descriptor of the results"
        else:
            try:
                _take(report, parts[1], parts[2:])
            except (TypeError, ValueError, KeyError, IndexError):
                report.contradiction = "malformed frame"
    return report


def ends(frames: bytes | bytearray, at: int = 0) -> list[int]:
    """Return where each frame from `at` on ends; one that has not come whole is left out."""
    found = []
    while len(frames) >= at + 4:
        at += 4 + int.from_bytes(frames[at : at + 4], "big")
        if len(frames) < at:
            break
        found.append(at)
    return found


def _take(report: Report, kind: object, parts: list[Any]) -> None:
    if report.ended or report.raised or report.unparsable:
        report.contradiction = "a frame after the last one"
    elif kind == "up" and not report.started:
        report.started = True
    elif kind in ("plan", "unparsable") and report.plan is None:
        _take_plan(report, kind, parts)
    elif report.plan is None:
        report.contradiction = "a frame before the plan"
    elif report.plan[0] == "cells":
        _take_cell(report, kind, parts)
    elif kind == "value":
        _take_value(report, *parts)
    elif kind == "end":
        report.ended = True
        if parts != [len(report.values)]:
            report.contradiction = f"{len(report.values)} checks came, the end says {parts!r:.50}"
    elif kind == "raised":
        name, message, missing, stage, file = map(str, parts)
        report.raised = (name, message, missing, stage, file)
    else:
        lies = "an object of the code answers when it is compared with a value"
        report.contradiction = lies if kind == "lies" else "unknown or repeated frame"


def _take_plan(report: Report, kind: object, parts: list[Any]) -> None:
    if kind == "unparsable":
        report.unparsable = f"{parts[0]}: {parts[1]}"
        return
    mode, total, strong, expected, *places = parts
    report.plan = (mode, total, strong, expected)
    report.places = int(places[0]) if places else 0


def _take_value(report: Report, i: object, value: object) -> None:
    assert report.plan
    total = report.plan[1]
    if type(i) is not int or not 0 <= i < total or i in report.values:
        report.contradiction = f"check {i!r:.20} of {total}, or twice the same"
    elif not isinstance(value, list) or not value or not isinstance(value[0], str):
        report.contradiction = "malformed value"
    else:
        report.values[i] = value


def _take_cell(report: Report, kind: object, parts: list[Any]) -> None:
    assert report.plan
    if kind == "ready" and not report.ready:
        report.ready = True
        return
    is_answer = kind == "cell" and report.ready
    i, value, error, missing = parts if is_answer else (None, None, None, None)
    texts = all(isinstance(part, (str, type(None))) for part in (value, error))
    if type(i) is not int or i != len(report.values) or i >= report.plan[1]:
        report.contradiction = f"no answer of cell {len(report.values)} of {report.plan[1]}"
    elif not texts or not isinstance(missing, str) or None not in (value, error):
        report.contradiction = "malformed answer of a cell"
    else:
        report.values[i] = (value, error, missing)
