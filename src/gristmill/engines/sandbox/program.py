"""What goes into the sandbox and what comes out: no process is started here.

Which status a run gets when several would fit, the first that holds:

1. `infra_error`: the machine failed. Tried three times, then raised; never stored, never a label.
2. `output_limit`: more bytes than the limit of a stream.
3. `oom`: the memory limit was reached.
4. `timeout`: the limit of time, or of CPU time, was reached.
5. `forged`: a frame that cannot be true, such as a second end or a check that does not exist.
6. `missing_dependency`: it ended by an import that its profile does not have, or its tests use a
   module that only the code can have written. Also, without any run, when the profile itself lacks
   a package or a tool here.
7. `error`: no Python, what a compiler refuses, too many processes, another exception, a bad exit,
   an early end, a value that cannot be compared from outside.
8. `fail`: a check gave another value, did not hold or was never reached.
9. `weak_tests`: every check held, but there is none, or a stub passes them too.
10. What a second run of asserts gets, in which those are turned round that the first left as
    they are: `forged` where one holds all the same, else as above.
11. `pass`: none of these. For `calls`: each gave a value. For `cells`: the last one ended
    without an exception; of cells only 1 to 7 and `pass` are asked, of each by itself.

A control run (stub, second run) that a limit ended twice gives its own status: nothing was shown.
A run that a limit ended is never asked what it said before, 6 and 7 are the one exception or
end that a program can have, and 9 to 11 are only asked of a run whose checks all held.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypedDict

from gristmill.engines.requests import Answer, Op
from gristmill.engines.sandbox.languages import LANGUAGES
from gristmill.engines.sandbox.profiles import NAMES, find_profile
from gristmill.errors import InputError
from gristmill.storage.ids import digest

Status = Literal[
    "pass",
    "fail",
    "error",
    "timeout",
    "oom",
    "output_limit",
    "forged",
    "weak_tests",
    "missing_dependency",
    "infra_error",
]
UNJUDGED = frozenset({"missing_dependency"})
"""Statuses that say nothing about the code."""
MAX_OUTPUT = 1 << 20
"""Characters of expected output at most."""
MAX_CELLS, MAX_CELL_CHARS = 64, 1 << 18
"""Cells of a program, and characters of all of them, at most."""
LIMITS: dict[str, tuple[type, float, float]] = {
    "timeout_s": (float, 0.001, 86_400),
    "cell_timeout_s": (float, 0.001, 86_400),
    "memory_mb": (int, 1, 1 << 22),
    "attempt": (int, 0, 1 << 32),
    "tolerance": (float, 0, 1),
    "mutants": (int, 0, 1000),
}
"""Least and most of what a program may name."""


class Cell(TypedDict):
    """What one cell did, as its own process says: nothing of it was compared with anything."""

    status: Status
    """`pass`: it ended without an exception; `error` (also when it ended the interpreter),
    `missing_dependency`, `timeout`, `oom`, `output_limit`, `forged` as for programs."""
    stdout: str
    """What came while it ran; at most 64 KiB, as for stderr."""
    stderr: str
    value: str | None
    """The repr of its last statement, up to 4,000 characters; None if that is no expression, or
    None itself."""
    error: str | None
    """The end of the traceback, up to 2,000 characters, or what ended the cell from outside."""


@dataclass(frozen=True, slots=True)
class Verdict(Answer):
    """What can be believed about one run. Only `pass` is a pass; exit code 0 never is."""

    status: Status
    detail: str = ""
    checks_total: int = 0
    checks_passed: int = 0
    stdout: str = ""
    stderr: str = ""
    wall_ms: int = 0
    """From the start of the run to its end, seen from outside; of the first run, not of its stub
    or second run."""
    cpu_ms: int | None = None
    """CPU time of the run's processes as the kernel counts it, with some milliseconds for their
    start; None where nobody counts it (bubblewrap without a control group, but for time-outs)."""
    verified_by: str = ""
    """`values`, `stdio`: compared outside the program's process; `asserts`: inside, in two
    runs; `calls`, `cells`: nothing was compared."""
    profile: str = ""
    """Which isolation held, and the interpreter."""
    values: list[Any] = field(default_factory=list)
    """For `calls`: what each gave, as `launcher.encode` writes it; `["!", name]` for an exception,
    `["?", type, truth]` for what cannot be written, None for a call that was never reached."""
    mutants_total: int | None = None
    """Mutants of the code that were tried; None when none were asked for or it did not pass."""
    mutants_killed: int | None = None
    """Those among them that did not pass. It is evidence about the tests and changes no status."""
    cells: list[Cell] = field(default_factory=list)
    """For `cells`: what each did, in their order. `status` is that of the last."""
    starved_ms: int = 0
    """For a time-out: how long it was ready to run but got no CPU, although it ran again alone."""

    @property
    def durable(self) -> bool:
        """Trouble of the machine is never kept, nor is a time-out that contention may have made."""
        return self.status != "infra_error" and not self.starved_ms


@dataclass(frozen=True, slots=True)
class Program:
    """Code and what judges it; all of it is text and is parsed only inside the sandbox.

    It is judged by `tests`, or else by `stdout`; with `calls` it is asked and not judged. What is
    no program at all (another type than text, a limit of zero) raises InputError when it is made.
    """

    op: ClassVar[Op] = "run"
    answer: ClassVar[type[Answer]] = Verdict

    code: str
    tests: str = ""
    stdin: str = ""
    timeout_s: float = 10.0
    """Wall-clock limit of one run in seconds."""
    memory_mb: int = 1024
    """Memory limit of one run in MiB, all its processes together."""
    attempt: int = 0
    """Numbers the repeats of one program: a re-run for flakiness is a real re-run."""
    stdout: str | None = None
    """What the code should print for `stdin`. It stays outside the sandbox."""
    tolerance: float = 0.0
    """For `stdout`: how far a number with a decimal point or an exponent may be off, absolute or
    relative to the expected one; 0 compares texts."""
    calls: tuple[str, ...] = ()
    """Expressions such as `f(1, 2)`, evaluated one after the other in the code's module. There is
    nothing to compare with: `pass` means that each gave a value, and `values` has them."""

    cells: tuple[str, ...] = ()
    """Texts of an interactive session, run one after the other in one process and one module, as
    at the prompt. A session has no state outside its requests: turn n asks for all n cells, and
    what they did before is done again. A cell that has to be killed (time, memory, output, it
    ended its interpreter) leaves no trace: those after it run in a new process, in which those
    before it ran again. So the records of a verdict are those of one process but for the killed
    ones, and a session that draws random numbers or asks the clock may differ from turn to turn:
    compare `verdict.cells[:n - 1]` with what was shown, and give it up where they differ. Like
    other verdicts it is stored: the same cells give the same records as long as the store lives."""
    cell_timeout_s: float = 5.0
    """For `cells`: wall-clock limit of each in seconds; `timeout_s` is that of all together, with
    what is run again. Cells that it leaves no time for are a `timeout`."""
    profile: str = "bare"
    """What it finds: `bare` is the standard library; `numpy`, `solver` (SciPy), `sympy` (SymPy
    and Math-Verify) and `mypy` have more; `cpp`, `javascript`, `bash`, `sql` and `verilog` are
    languages, for `stdout` only. The sandbox may have `profiles` of its own, and refuses others.
    C++ and Verilog are compiled once for all inputs, in a run of its own that has the same
    limits."""
    mutants: int = 0
    """For a pass: at most so many small mistakes are made in the code, one at a time, to see
    whether it still passes. One more run each."""

    def __post_init__(self) -> None:
        """Refuse what is no program."""
        for name in ("code", "tests", "stdin", "stdout", "profile"):
            value = getattr(self, name)
            if not isinstance(value, str) and not (name == "stdout" and value is None):
                raise InputError(f"{name} of a program must be text, found {type(value).__name__}")
        if not isinstance(self.calls, tuple) or not all(isinstance(c, str) for c in self.calls):
            raise InputError("calls of a program must be a tuple of texts")
        ways = [self.stdout is not None, *map(bool, (self.tests, self.calls, self.cells))]
        if sum(ways) > 1:
            raise InputError(
                "a program has tests, or stdout, or calls, or cells; found more than one of them"
            )
        self._check_cells()
        if len(self.stdout or "") > MAX_OUTPUT:
            raise InputError(
                f"expected stdout of {len(self.stdout or '')} characters: at most {MAX_OUTPUT}"
            )
        if self.profile in LANGUAGES and (self.stdout is None or self.mutants):
            raise InputError(f"a program in {self.profile} is judged by its stdout alone")
        for name, (kind, least, most) in LIMITS.items():
            value = getattr(self, name)
            if type(value) not in (int, kind) or not least <= value <= most:
                raise InputError(
                    f"{name} of a program must be from {least} to {most}, found {value!r:.50}"
                )

    def _check_cells(self) -> None:
        if not isinstance(self.cells, tuple) or not all(isinstance(c, str) for c in self.cells):
            raise InputError("cells of a program must be a tuple of texts")
        if self.cells and self.code:
            raise InputError("a program of cells has no other code: make it the first cell")
        found = len(self.cells), sum(map(len, self.cells))
        if found[0] > MAX_CELLS or found[1] > MAX_CELL_CHARS:
            raise InputError(
                f"{found[0]} cells of {found[1]} characters: at most {MAX_CELLS} of "
                f"{MAX_CELL_CHARS} together"
            )

    def key(self, identity: str) -> str:
        """Return the name of the verdict."""
        limits = [self.timeout_s, self.memory_mb, self.attempt]
        texts = [clean(text) for text in (self.code, self.tests, self.stdin)]
        more = {
            "stdout": None if self.stdout is None else [clean(self.stdout), self.tolerance],
            "calls": [clean(text) for text in self.calls],
            "cells": [*map(clean, self.cells), self.cell_timeout_s] if self.cells else None,
            "mutants": self.mutants,
            "profile": self._found(),
        }
        asked = {name: value for name, value in more.items() if value not in (None, [], 0)}
        return digest(identity, "run", *texts, limits, asked)

    def _found(self) -> str | None:
        """Name what the profile has; of those of the sandbox itself its identity tells that."""
        if self.profile == "bare":
            return None
        return find_profile(self.profile).identity if self.profile in NAMES else self.profile


def clean(text: str) -> str:
    """Return text that can be encoded: half a surrogate pair becomes the replacement mark."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
