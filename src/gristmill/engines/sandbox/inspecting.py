"""Ask one of our own modules about a text that nobody trusts, inside the sandbox.

A parser is code too: what a model wrote is parsed where it would be run. The module is sent as
source, so it imports nothing but the standard library.
"""

from __future__ import annotations

import inspect
import json
from types import ModuleType
from typing import Any

from gristmill.engines.sandbox.program import MAX_CELL_CHARS, Program, Verdict

MAX_CHARS = 100_000
"""Of a text: more is no answer, and fits no cell of the sandbox."""
ASK = "{source}\n\nimport json\nprint(json.dumps({name}({arguments})))\n"


def inspection(
    module: ModuleType, name: str, *arguments: Any, timeout_s: float = 10.0, profile: str = "bare"
) -> Program:
    """Return the program that calls a function of the module on texts, numbers, lists of them.

    Too much text for the sandbox has no answer.
    """
    given = ", ".join(map(repr, arguments))
    ask = ASK.format(source=inspect.getsource(module), name=name, arguments=given)
    if len(ask) > MAX_CELL_CHARS:
        ask = f"raise ValueError('{len(ask)} characters')"
    return Program("", cells=(ask,), timeout_s=timeout_s, cell_timeout_s=timeout_s, profile=profile)


def found(verdict: Verdict) -> Any:
    """Return what the function said; None where it could not say anything."""
    if verdict.status != "pass":
        return None
    try:
        return json.loads(verdict.cells[-1]["stdout"])
    except (ValueError, RecursionError):
        return None
