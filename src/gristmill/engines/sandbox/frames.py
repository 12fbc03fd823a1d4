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
    unparsable: str = ""
    raised: tuple[str, str, str, str, str] | None = None
    """Type, message, missing module, stage, file of the innermost frame."""
    ended: bool = False
    started: bool = False
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
            parts = json.loads(body) if len(body) == size else None
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


def _take(report: Report, kind: object, parts: list[Any]) -> None:
    if report.ended or report.raised or report.unparsable:
        report.contradiction = "a frame after the last one"
    elif kind == "up" and not report.started:
        report.started = True
    elif kind == "plan" and report.plan is None:
        mode, total, strong, expected, *places = parts
        report.plan = (mode, total, strong, expected)
        report.places = int(places[0]) if places else 0
    elif kind == "unparsable" and report.plan is None:
        report.unparsable = f"{parts[0]}: {parts[1]}"
    elif report.plan is None:
        report.contradiction = "a frame before the plan"
    elif kind in ("check", "value"):
        _take_check(report, parts)
    elif kind == "end":
        report.ended = True
        if parts != [len(report.values)]:
            report.contradiction = f"{len(report.values)} checks came, the end says {parts!r:.50}"
    elif kind == "raised":
        name, message, missing, stage, file = map(str, parts)
        report.raised = (name, message, missing, stage, file)
    else:
        report.contradiction = "unknown or repeated frame"


def _take_check(report: Report, parts: list[Any]) -> None:
    i = parts[0]
    assert report.plan
    mode, total = report.plan[:2]
    if type(i) is not int or not 0 <= i < total or i in report.values:
        report.contradiction = f"check {i!r:.20} of {total}, or twice the same"
    elif (len(parts) == 1) != (mode == "asserts"):
        report.contradiction = "a check of the other mode"
    else:
        value = ["b", 1] if mode == "asserts" else parts[1]
        if not isinstance(value, list) or not value or not isinstance(value[0], str):
            report.contradiction = "malformed value"
        else:
            report.values[i] = value
