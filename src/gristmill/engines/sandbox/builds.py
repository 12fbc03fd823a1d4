"""What programs of a compiled language were built to: each is compiled once, not once per input."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gristmill.engines.sandbox.program import Program

MOST_CHARS = 1 << 26
"""Digits of all that is kept, at most."""


@dataclass(slots=True)
class Build:
    """What one program was built to, as hexadecimal digits; locked while somebody compiles it."""

    digits: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


class Builds:
    """The latest builds. They came out of the sandbox, and only ever go back into it."""

    def __init__(self, most_chars: int = MOST_CHARS) -> None:
        self.most_chars = most_chars
        self.lock = threading.Lock()
        self.kept: OrderedDict[Program, Build] = OrderedDict()

    def find(self, program: Program, make: Callable[[], str]) -> str:
        """Return what a program was built to, "" when `make` gives nothing.

        Two that ask for the same wait for one build; the limits are part of what they ask for.
        """
        key = replace(program, stdin="", stdout="", tolerance=0.0)
        with self.lock:
            build = self.kept.setdefault(key, Build())
            self.kept.move_to_end(key)
        with build.lock:
            build.digits = build.digits or make()
        with self.lock:
            while sum(len(build.digits) for build in self.kept.values()) > self.most_chars:
                self.kept.popitem(last=False)
            if not build.digits:
                self.kept.pop(key, None)
        return build.digits
