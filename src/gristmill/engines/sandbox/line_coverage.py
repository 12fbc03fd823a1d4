"""Which lines of a Python script its inputs reach.

The source of this file is sent into the sandbox, so it imports nothing else of ours. What it says
comes from the script's own process, where hostile code could change it: it may call tests weak,
and makes no wrong program right.
"""

from __future__ import annotations

import contextlib
import io
import sys
from types import CodeType
from typing import Any


def covered(code: str, inputs: list[str]) -> list[int]:
    """Return how many lines ran on any of the inputs, and how many there are."""
    program, reached = compile(code, "code.py", "exec"), set[int]()

    def trace(frame: Any, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != "code.py":
            return None
        if event == "line":
            reached.add(frame.f_lineno)
        return trace

    given = sys.stdin
    for text in inputs:
        sys.stdin = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
        with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
            sys.settrace(trace)
            try:
                exec(program, {"__name__": "__main__"})
            except SystemExit:
                continue
            finally:
                sys.settrace(None)
    sys.stdin = given
    every = _lines(program)
    return [len(reached & every), len(every)]


def _lines(code: CodeType) -> set[int]:
    """Return the lines of a code object and of those inside it, but for those without a number."""
    found = {line for _, _, line in code.co_lines() if line}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            # The first line of a function runs as a part of what defines it.
            found |= _lines(constant) - {constant.co_firstlineno}
    return found
